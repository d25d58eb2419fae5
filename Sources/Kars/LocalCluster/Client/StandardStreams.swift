import CLinux
import Dispatch
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The three descriptors a command in a sandbox gets. A terminal is not among them: instead of one, output goes through a pipe
/// that this process copies, and input is empty.
final class StandardStreams {
    private(set) var descriptors: [Int32]
    private var ownEnds: [Int32] = []
    private let copies = DispatchGroup()

    init(descriptors: [Int32]) { self.descriptors = descriptors }

    static func forSandbox() throws(StageError) -> StandardStreams {
        let streams = StandardStreams(descriptors: [0, 1, 2])
        for index in 0..<3 where isatty(Int32(index)) == 1 { try streams.replace(index) }
        return streams
    }

    private func replace(_ index: Int) throws(StageError) {
        if index == 0 {
            let null = try StageError.check(open("/dev/null", O_RDONLY | O_CLOEXEC), "opening /dev/null")
            descriptors[0] = null
            ownEnds.append(null)
            return
        }
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ends), "pipe")
        descriptors[index] = ends[1]
        ownEnds.append(ends[1])
        let reader = ends[0], target = Int32(index)
        DispatchQueue.global().async(group: copies) {
            var chunk = [UInt8](repeating: 0, count: 16_384)
            while true {
                let count = read(reader, &chunk, chunk.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                Descriptors.writeAll(chunk[..<count], to: target)
            }
            close(reader)
        }
    }

    /// The sandbox has its copies: ours must go, or a pipe would never end.
    func handedOver() {
        for descriptor in ownEnds { close(descriptor) }
        ownEnds = []
    }

    /// Waits until what was written has been copied.
    func finish() { copies.wait() }
}
