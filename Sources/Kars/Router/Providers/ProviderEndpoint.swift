import KarsCore

/// Where the router sends model calls, and how the provider there wants to be asked.
///
/// Two dialects cover what is offered today: OpenAI's own paths with a bearer key or none (OpenAI, Ollama, vLLM, llama.cpp
/// and whatever else speaks them), and Azure's deployment paths with an `api-key`. The host is parsed once at start, so no
/// text inside a URL can pass for another provider.
struct ProviderEndpoint: Sendable {
    enum Dialect: Equatable, Sendable {
        case openAI
        /// The model is named in the path, and every path carries the version.
        case azureDeployments(apiVersion: String)
    }

    enum Failure: Error, Equatable, CustomStringConvertible {
        case modelNotAllowedInPath(String)

        var description: String {
            switch self {
            case .modelNotAllowedInPath(let model):
                "the model name \"\(model)\" cannot be an Azure deployment: letters, digits, '.', '_' and '-' only"
            }
        }
    }

    let dialect: Dialect
    /// Scheme, host and port of every call.
    let origin: HTTPURL
    /// Without the slash at its end.
    let basePath: String
    let key: Secret<String>?
    /// Azure takes its key in a header of its own.
    let sendsKeyAsAPIKey: Bool

    /// An endpoint that speaks OpenAI's paths. A base without a version segment gets `/v1`, which is how people write it.
    static func openAI(base: HTTPURL, key: Secret<String>?) -> ProviderEndpoint {
        var path = trimmedPath(of: base)
        let hasVersion = path.split(separator: "/").contains { segment in
            segment.first == "v" && segment.dropFirst().first?.isNumber == true
        }
        if !hasVersion { path += "/v1" }
        return ProviderEndpoint(
            dialect: .openAI, origin: base, basePath: path, key: key, sendsKeyAsAPIKey: false)
    }

    /// An Azure OpenAI resource. A base that already ends in `/openai/v1` is asked in OpenAI's own way.
    static func azureOpenAI(base: HTTPURL, apiVersion: String, key: Secret<String>?) -> ProviderEndpoint {
        var path = trimmedPath(of: base)
        if path.hasSuffix("/openai/v1") {
            return ProviderEndpoint(
                dialect: .openAI, origin: base, basePath: path, key: key, sendsKeyAsAPIKey: true)
        }
        if path.hasSuffix("/openai") { path.removeLast("/openai".count) }
        return ProviderEndpoint(
            dialect: .azureDeployments(apiVersion: apiVersion), origin: base, basePath: path + "/openai", key: key,
            sendsKeyAsAPIKey: true)
    }

    /// The request target of a chat completion by `model`.
    func chatTarget(model: String) throws(Failure) -> String {
        switch dialect {
        case .openAI: return basePath + "/chat/completions"
        case .azureDeployments(let version):
            guard !model.isEmpty, model.utf8.allSatisfy(Self.isPlain), model != ".", model != ".." else {
                throw .modelNotAllowedInPath(String(model.prefix(64)))
            }
            return "\(basePath)/deployments/\(model)/chat/completions?api-version=\(version)"
        }
    }

    var modelsTarget: String {
        switch dialect {
        case .openAI: basePath + "/models"
        case .azureDeployments(let version): "\(basePath)/models?api-version=\(version)"
        }
    }

    /// The header that proves who pays, if the provider wants one.
    var credential: (name: String, value: String)? {
        guard let key else { return nil }
        return sendsKeyAsAPIKey ? ("api-key", key.reveal()) : ("authorization", "Bearer " + key.reveal())
    }

    private static func trimmedPath(of url: HTTPURL) -> String {
        var path = url.target.prefix { $0 != "?" }
        while path.hasSuffix("/") { path = path.dropLast() }
        return String(path)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
