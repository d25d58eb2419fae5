extension KubernetesClient {
    /// A connected stream socket whose other end is `port` of a pod, for clients that speak a protocol of their own there: HTTP with
    /// TLS that nobody on the way can read. The caller owns it; closing it ends the connection.
    package func dial(namespace: String, pod: String, port: UInt16) async throws(APIStatus) -> CInt {
        let connection = try await forward(namespace: namespace, pod: pod, port: port)
        let ends: (ours: CInt, theirs: CInt)
        do throws(SocketError) { ends = try ByteStream.socketPair() } catch {
            await connection.close()
            throw .unreachable("\(error)")
        }
        let stream: ByteStream
        do throws(StreamError) { stream = try await ByteStream.adopt(ends.ours, on: group.currentOrNext()) } catch {
            Socket.discard(ends.theirs)
            await connection.close()
            throw .unreachable("\(error)")
        }
        // Outlives this call, and ends when either side does.
        Task { await Self.join(stream, connection) }
        return ends.theirs
    }

    /// Copies both ways until one side ends; then both are closed, because neither protocol below can say that one direction has.
    private static func join(_ stream: ByteStream, _ connection: ForwardedConnection) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                // A failure of either side is its end: whoever has the socket reads an end of stream, and says so.
                while let bytes = try? await stream.read(), (try? await connection.write(bytes)) != nil {}
            }
            group.addTask {
                while let bytes = try? await connection.read(), (try? await stream.write(bytes)) != nil {}
                _ = try? await stream.flush()
            }
            await group.next()
            await connection.close()
            await stream.close()
        }
    }
}
