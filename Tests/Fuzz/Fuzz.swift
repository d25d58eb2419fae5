import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// One parser or machine under random input. The body asserts with `precondition`: a finding is a trap.
struct Target: Sendable {
    let name: String
    let run: @Sendable (UnsafeBufferPointer<UInt8>) -> Void
}

/// Without libFuzzer: `Fuzz --list`, `Fuzz TARGET FILE…` replays inputs, `Fuzz TARGET --seconds N [--seed S] FILE…` mutates them.
/// Built with `-sanitize=fuzzer -DFUZZING`: the target is named by `KARS_FUZZ_TARGET`, and libFuzzer drives it.
enum Fuzz {
    static func target(named name: String) -> Target? { targets.first { $0.name == name } }
}

#if FUZZING
/// libFuzzer's own loop (`FuzzerDriver.cpp`). The package manager names the entry point of the executable, so libFuzzer's `main` is not used.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

@main
enum Main {
    static func main() {
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(
            runDriver(&count, &arguments) { start, count in
                selected.run(UnsafeBufferPointer(start: start, count: count))
                return 0
            })
    }
}

private let selected: Target = {
    guard let name = getenv("KARS_FUZZ_TARGET"), let target = Fuzz.target(named: String(cString: name)) else {
        preconditionFailure("KARS_FUZZ_TARGET names no target")
    }
    return target
}()
#else
@main
enum Main {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "--list" || arguments.isEmpty {
            for target in Fuzz.targets { print(target.name) }
            return
        }
        guard let name = arguments.first, let target = Fuzz.target(named: name) else {
            stop("no such target; `Fuzz --list` names them")
        }
        var seconds = 0
        var seed: UInt64 = 1
        var inputs: [[UInt8]] = []
        var rest = arguments.dropFirst()
        while let argument = rest.popFirst() {
            switch argument {
            case "--seconds": seconds = rest.popFirst().flatMap { Int($0) } ?? 0
            case "--seed": seed = rest.popFirst().flatMap { UInt64($0) } ?? 1
            default:
                guard let bytes = read(argument) else { stop("cannot read \(argument)") }
                inputs.append(bytes)
            }
        }
        for input in inputs { input.withUnsafeBufferPointer(target.run) }
        var runs = inputs.count
        if seconds > 0 { runs += mutate(inputs, with: target, seconds: seconds, seed: seed) }
        print("\(name): \(inputs.count) inputs, \(runs) runs, no finding")
    }

    /// Random edits of known inputs for `seconds`: coarse beside libFuzzer, but needs no sanitizer and runs everywhere.
    private static func mutate(_ corpus: [[UInt8]], with target: Target, seconds: Int, seed: UInt64) -> Int {
        var random = Generator(state: seed)
        let end = Instant.now().advanced(by: .seconds(seconds))
        var runs = 0
        while Instant.now() < end {
            for _ in 0..<256 {
                var input = corpus.randomElement(using: &random) ?? []
                for _ in 0..<Int.random(in: 1...8, using: &random) { edit(&input, corpus, using: &random) }
                input.withUnsafeBufferPointer(target.run)
                runs += 1
            }
        }
        return runs
    }

    private static func edit(_ input: inout [UInt8], _ corpus: [[UInt8]], using random: inout Generator) {
        let position = input.isEmpty ? 0 : Int.random(in: 0..<input.count, using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: input.insert(UInt8.random(in: 0...255, using: &random), at: position)
        case 1 where !input.isEmpty: input[position] = UInt8.random(in: 0...255, using: &random)
        case 2 where !input.isEmpty: input[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 3 where !input.isEmpty:
            input.removeSubrange(position..<min(input.count, position + Int.random(in: 1...16, using: &random)))
        case 4 where input.count < 65_536:
            let end = min(input.count, position + Int.random(in: 0...64, using: &random))
            input.insert(contentsOf: Array(input[position..<end]), at: position)
        default:
            guard let other = corpus.randomElement(using: &random), !other.isEmpty, input.count < 65_536 else { return }
            let start = Int.random(in: 0..<other.count, using: &random)
            input.replaceSubrange(position..., with: other[start...])
        }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return bytes
    }

    private static func stop(_ message: String) -> Never {
        let line = Array("Fuzz: \(message)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
        exit(2)
    }
}

private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
#endif
