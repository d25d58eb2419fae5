import ArgumentParser
import Testing

@testable import Kars

@Suite struct `Kars command` {
    @Test func `an unknown role is refused`() {
        #expect(throws: (any Error).self) { try KarsCommand.parseAsRoot(["no-such-role"]) }
    }
}
