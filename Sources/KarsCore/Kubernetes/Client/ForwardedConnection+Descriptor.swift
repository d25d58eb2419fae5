extension ForwardedConnection {
    /// A connected socket whose bytes go through this connection, for those who want one: the caller's to close. The connection ends
    /// when either side does.
    package func descriptor(on loop: EventLoop) async throws(APIStatus) -> CInt {
        let (near, far): (CInt, CInt)
        do throws(SocketError) { (near, far) = try Socket.pair() } catch { throw .unreachable("\(error)") }
        let stream: ByteStream
        do throws(StreamError) { stream = try await ByteStream.adopt(near, on: loop) } catch {
            Socket.discard(far)
            throw .unreachable("\(error)")
        }
        // Lives as long as the two ends: whoever has the other descriptor does not know that there is a task.
        Task { await self.relay(stream) }
        return far
    }

    /// Copies both ways until one side ends.
    private func relay(_ stream: ByteStream) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while let bytes = try? await stream.read(), (try? await self.write(bytes)) != nil {}
            }
            group.addTask {
                while let bytes = try? await self.read(), (try? await stream.write(bytes)) != nil {}
                // What came last reaches the reader.
                try? await stream.flush(within: .seconds(5))
            }
            await group.next()
            group.cancelAll()
        }
        await stream.close()
        await close()
    }
}
