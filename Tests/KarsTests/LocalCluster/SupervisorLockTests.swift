import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite struct `The supervisor's lock` {
    @Test func `no lock is not held, one that is taken is`() throws {
        try withTemporaryDirectory { directory in
            #expect(try !SupervisorLock.isHeld(in: directory))
            let descriptor = try SupervisorLock.take(in: directory)
            #expect(try SupervisorLock.isHeld(in: directory))
            close(descriptor)
            #expect(try !SupervisorLock.isHeld(in: directory))
        }
    }

    @Test func `a lock that cannot be looked at is an error, not a free one`() throws {
        try withTemporaryDirectory { directory in
            // Somebody put a link in its place, to make a running pod look like one that has ended.
            try #require(symlink("/dev/null", directory + "/supervisor.lock") == 0)
            #expect(throws: FileError.self) { try SupervisorLock.isHeld(in: directory) }
        }
    }
}
