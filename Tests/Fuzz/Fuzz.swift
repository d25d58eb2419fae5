/// One target per parser or machine: `Fuzz TARGET FILE…` replays inputs, `Fuzz --list` names the targets.
@main
enum Fuzz {
    static func main() {
        for name in targets.keys.sorted() { print(name) }
    }

    static let targets: [String: @Sendable (UnsafeBufferPointer<UInt8>) -> Void] = [:]
}
