#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// The person's terminal while a command in a sandbox has it: bytes as they are typed, nothing of our own.
struct RawTerminal: Sendable {
    private let before: termios

    /// Nil when standard input is no terminal.
    static func enter() -> RawTerminal? {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
        var raw = before
        cfmakeraw(&raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw)
        return RawTerminal(before: before)
    }

    /// As it was. Does not wait until output is read: who reads it may have gone.
    func leave() {
        var before = before
        tcsetattr(STDIN_FILENO, TCSANOW, &before)
    }

    /// In characters; zeros when nobody knows.
    static var size: (rows: Int, columns: Int) {
        var size = winsize()
        _ = ioctl(STDIN_FILENO, UInt(TIOCGWINSZ), &size)
        return (Int(size.ws_row), Int(size.ws_col))
    }
}
