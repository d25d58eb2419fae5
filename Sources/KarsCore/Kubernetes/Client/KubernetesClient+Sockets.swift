extension KubernetesClient {
    /// A connected stream socket whose other end is `port` of a pod, for clients that speak a protocol of their own there: HTTP with
    /// TLS that nobody on the way can read. The caller owns it; closing it ends the connection.
    package func dial(namespace: String, pod: String, port: UInt16) async throws(APIStatus) -> CInt {
        try await forward(namespace: namespace, pod: pod, port: port).descriptor(on: group.currentOrNext())
    }
}
