/// In-process measurements, printed as a table; `scripts/bench` adds the ones that need peers.
@main
enum Bench {
    static func main() {}
}
