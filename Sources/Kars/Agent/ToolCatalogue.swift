import KarsCore

/// The tools the built-in agent offers to its model, and the verb under which each call is evaluated (spec/runtimes 3).
enum AgentTool: String, CaseIterable, Sendable {
    case exec
    case readFile = "read_file"
    case writeFile = "write_file"
    case listFiles = "list_files"
    case httpFetch = "http_fetch"

    /// The `tools[]` entry of a chat completion request.
    var declaration: JSON {
        [
            "type": "function",
            "function": [
                "name": .string(rawValue), "description": .string(summary),
                "parameters": [
                    "type": "object", "properties": .object(JSONObject(parameters.map { ($0.name, $0.schema) })),
                    "required": .array(parameters.filter(\.isRequired).map { .string($0.name) }), "additionalProperties": false,
                ],
            ],
        ]
    }

    /// The action under which the router evaluates a call; nil when it would be too long to be judged whole.
    ///
    /// A command is never cut to fit: its tail would go unjudged. Its line breaks stay, because a shell separates commands by them.
    func action(for arguments: JSON) -> String? {
        let text: String
        switch self {
        case .exec: text = "shell:" + (arguments["command"]?.stringValue ?? "")
        case .httpFetch: text = "egress:" + (arguments["url"]?.stringValue ?? "")
        case .readFile, .writeFile, .listFiles: text = "tool:\(rawValue):" + (arguments["path"]?.stringValue ?? "")
        }
        return text.utf8.count <= Self.maxActionBytes ? text : nil
    }

    static let maxActionBytes = 8192

    private var summary: String {
        switch self {
        case .exec: "Run a shell command in the workspace and return its output and exit code."
        case .readFile: "Read a text file."
        case .writeFile: "Write a text file, replacing what it held."
        case .listFiles: "List a directory of the workspace."
        case .httpFetch: "Fetch a URL and return status and body."
        }
    }

    private struct Parameter {
        var name: String
        var summary: String
        var isRequired = true

        var schema: JSON { ["type": "string", "description": .string(summary)] }
    }

    private var parameters: [Parameter] {
        switch self {
        case .exec: [Parameter(name: "command", summary: "Command line for /bin/sh -c.")]
        case .readFile: [Parameter(name: "path", summary: "File, relative to the workspace or absolute.")]
        case .writeFile:
            [
                Parameter(name: "path", summary: "File, relative to the workspace or absolute."),
                Parameter(name: "content", summary: "The new content."),
            ]
        case .listFiles: [Parameter(name: "path", summary: "Directory; the workspace itself by default.", isRequired: false)]
        case .httpFetch:
            [
                Parameter(name: "url", summary: "http or https URL."),
                Parameter(name: "method", summary: "GET by default.", isRequired: false),
                Parameter(name: "body", summary: "Request body.", isRequired: false),
            ]
        }
    }
}
