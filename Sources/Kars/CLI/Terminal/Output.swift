import ArgumentParser
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a command prints: text for people, or one value for programs. Data goes to standard output, progress and failures to
/// standard error, so that `--output json` can always be piped.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text, json, yaml

    /// `table` and `pretty` are other words for text.
    init?(argument: String) {
        guard let format = ["table", "pretty"].contains(argument) ? .text : OutputFormat(rawValue: argument) else { return nil }
        self = format
    }
}

/// The result of a command: the value, and what people read of it.
struct Report: Sendable {
    var json: JSON
    var text: String
}

/// Shared by every command that prints data.
struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "How to print the result: text, json or yaml.")
    var output: OutputFormat = .text

    /// Prints `json` or, for people, what `text` makes of the same data.
    func print(_ json: JSON, text: () -> String) {
        switch output {
        case .json: Terminal.printLine(String(decoding: json.encoded(pretty: true), as: UTF8.self))
        case .yaml: Terminal.printPart(YAML.emit(json))
        case .text:
            let text = text()
            if !text.isEmpty { Terminal.printLine(text) }
        }
    }

    func print(_ report: Report) { print(report.json) { report.text } }
}

/// The person at the other end, if there is one.
enum Terminal {
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 }
    static var showsColour: Bool { isatty(STDERR_FILENO) == 1 && getenv("NO_COLOR") == nil }

    static func printLine(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

    /// Without a line break, at once: for streamed answers.
    static func printPart(_ text: String) { write(text, to: STDOUT_FILENO) }

    static func note(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

    static func notePart(_ text: String) { write(text, to: STDERR_FILENO) }

    /// `text` as shown to people: control characters and what reorders text become spaces, so that data cannot drive the
    /// terminal.
    static func safe(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) && $0 != "\n" && $0 != "\t" ? " " : $0 }))
    }

    /// One line of `safe` text.
    static func safeLine(_ text: String) -> String { safe(text).replacing("\n", with: " ").replacing("\t", with: " ") }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || scalar.movesTerminal
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { buffer in
                #if canImport(Glibc)
                Glibc.write(descriptor, buffer.baseAddress, buffer.count)
                #else
                Darwin.write(descriptor, buffer.baseAddress, buffer.count)
                #endif
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }  // The reader is gone (`| head`); there is nobody to tell.
            bytes = bytes.dropFirst(count)
        }
    }
}

/// Rows under a header, columns as wide as their widest cell.
struct Table {
    let header: [String]
    private var rows: [[String]] = []

    init(_ header: [String]) { self.header = header }

    mutating func add(_ cells: [String]) { rows.append(cells.map(Terminal.safeLine)) }

    var text: String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 2) }
            }
            return line
        }.joined(separator: "\n")
    }
}

/// Numbered steps on standard error: `  2/4 ✔ router ready [0.3s]`.
struct Steps {
    let total: Int
    private var current = 0
    private var startedAt = Instant.now()

    init(total: Int) { self.total = total }

    mutating func done(_ text: String) {
        current += 1
        let now = Instant.now()
        let tenths = Int(now.duration(since: startedAt).inSeconds * 10)
        startedAt = now
        let mark = Terminal.showsColour ? "\u{1b}[32m✔\u{1b}[0m" : "✔"
        Terminal.note("  \(current)/\(total) \(mark) \(text) [\(tenths / 10).\(tenths % 10)s]")
    }
}
