import Synchronization

/// A watch over the network.
final class KubernetesWatch: WatchStream {
    private let response: HTTPClientResponse
    /// Kept alive with the response: its end would close the connection.
    private let http: HTTPClient
    private let state = Mutex(State())

    private struct State {
        var decoder = WatchDecoder()
        var events: ArraySlice<WatchEvent> = []
    }

    init(_ response: HTTPClientResponse, over http: HTTPClient) {
        self.response = response
        self.http = http
    }

    func next() async throws(APIStatus) -> WatchEvent? {
        while true {
            if let event = state.withLock({ $0.events.popFirst() }) { return event }
            let part: [UInt8]?
            do throws(HTTPClientError) { part = try await response.nextBodyPart() } catch { throw APIStatus(error) }
            guard let part else {
                guard state.withLock({ !$0.decoder.isMidLine }) else { throw .unreachable("a watch ended within an event") }
                return nil
            }
            state.withLock { $0.events = $0.decoder.push(part)[...] }
        }
    }

    func cancel() { response.cancel() }
}

/// An answer that is read as it comes. Dropping it closes the connection.
package final class KubernetesByteStream: Sendable {
    private let response: HTTPClientResponse
    private let http: HTTPClient

    init(_ response: HTTPClientResponse, over http: HTTPClient) {
        self.response = response
        self.http = http
    }

    /// The next bytes, never empty; nil at the end.
    package func next() async throws(APIStatus) -> [UInt8]? {
        do throws(HTTPClientError) { return try await response.nextBodyPart() } catch { throw APIStatus(error) }
    }

    package func cancel() { response.cancel() }
}
