import KarsCore

/// Tokens of one pod's service account for its projected volumes, bound to the pod and fetched anew at 80 % of their life.
actor PodTokens {
    private struct Entry {
        var token: Secret<[UInt8]>
        var refreshAt: Instant
        /// Not good any more.
        var expiresAt: Instant
    }

    private let api: any KubernetesAPI
    private let time: any TimeSource
    private var entries: [String: Entry] = [:]

    init(api: any KubernetesAPI, time: any TimeSource) {
        self.api = api
        self.time = time
    }

    /// A good token for every audience that the pod's volumes name. One that cannot be refreshed is given while it is good.
    func current(for pod: NodePod) async throws(APIStatus) -> [String: Secret<[UInt8]>] {
        var tokens: [String: Secret<[UInt8]>] = [:]
        for volume in pod.spec["volumes"]?.arrayValue ?? [] {
            for (audience, seconds) in VolumePayload.tokenRequests(of: volume) {
                tokens[audience] = try await token(for: pod, audience, seconds)
            }
        }
        return tokens
    }

    /// When the first of them is to be fetched anew; nil without any.
    var nextRefresh: Instant? { entries.values.map(\.refreshAt).min() }

    private func token(for pod: NodePod, _ audience: String, _ seconds: Int) async throws(APIStatus) -> Secret<[UInt8]> {
        let now = time.now()
        if let entry = entries[audience], entry.refreshAt > now { return entry.token }
        do throws(APIStatus) {
            let entry = try await fetch(for: pod, audience, seconds, now)
            entries[audience] = entry
            return entry.token
        } catch {
            guard let entry = entries[audience], entry.expiresAt > now else { throw error }
            return entry.token
        }
    }

    private func fetch(
        for pod: NodePod, _ audience: String, _ seconds: Int, _ now: Instant
    ) async throws(APIStatus) -> Entry {
        var request = KubernetesRequest.token(
            namespace: pod.namespace, serviceAccount: pod.spec["serviceAccountName"]?.stringValue ?? "default",
            audiences: audience.isEmpty ? [] : [audience], expirationSeconds: seconds)
        let spec = Self.bound(request.body?["spec"] ?? [:], to: pod)
        request.body?.setMember("spec", spec)
        let answer = try await api.object(request)
        guard let token = answer["status"]?["token"]?.stringValue else {
            throw .malformedAnswer("a TokenRequest without a token")
        }
        // What the server granted may be another time than what was asked for.
        let expires = answer["status"]?["expirationTimestamp"]?.stringValue.flatMap { UTCTime(rfc3339: $0) }
        let life = expires.map { $0.duration(since: time.utc()) } ?? .seconds(seconds)
        return Entry(
            token: Secret(Array(token.utf8)), refreshAt: now.advanced(by: life * 0.8), expiresAt: now.advanced(by: life))
    }

    private static func bound(_ spec: JSON, to pod: NodePod) -> JSON {
        var spec = spec.objectValue ?? JSONObject()
        spec["boundObjectRef"] = [
            "apiVersion": "v1", "kind": "Pod", "name": .string(pod.name), "uid": .string(pod.uid),
        ]
        return .object(spec)
    }
}
