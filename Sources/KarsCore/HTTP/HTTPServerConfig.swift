/// Bounds of a server. All of them hold for one listener's connections.
package struct HTTPServerConfig: Sendable {
    /// Connections open at one time; further ones wait in the kernel's backlog.
    package var maxConnections = 8192
    /// Connections that the kernel completes before we accept them.
    package var backlog = 1024
    package var maxRequestLineBytes = 8192
    /// Request line, fields and the empty line together.
    package var maxHeaderBytes = 65_536
    package var maxHeaderFields = 100
    /// From the first byte of a request, or from the connection's beginning, to the end of its head.
    package var headerTimeout = Duration.seconds(10)
    /// Between two requests.
    package var idleTimeout = Duration.seconds(75)
    /// Between two reads of a body that a handler waits for.
    package var bodyTimeout = Duration.seconds(30)
    /// Longest time in which a client that is sent something takes nothing.
    package var writeTimeout = Duration.seconds(30)
    /// Output that is accepted from a handler before it waits for the client.
    package var maxBufferedOutputBytes = 65_536
    /// A request's body that its handler left unread is skipped up to here; with more to come the connection is closed.
    package var maxSkippedBodyBytes = 65_536
    /// How long a client may go on sending after the answer that ends its connection.
    package var lingerTimeout = Duration.seconds(3)

    package init() {}
}
