import KarsCore
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Everything that is made for a sandbox, byte for byte, for every kind of runtime. `KARS_WRITE_GOLDEN=1` writes the files anew; read
/// the difference before keeping it.
@Suite struct `Sandbox plan, golden` {
    static let directory = #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/Vectors/SandboxPlan"

    @Test(arguments: `Sandbox plan`.kinds)
    func `every kind makes exactly these objects`(kind: String, runtime: JSON) throws {
        let plan = try SandboxFixture.plan(
            SandboxFixture.object(runtime: runtime) { spec in
                spec["networkPolicy"] = [
                    "allowedEndpoints": [["host": "API.example.com"], ["host": "broker.example.com", "port": 8_883]]
                ]
            })
        let made = JSON.array(plan.changes.changes.compactMap(\.body))
        let text = made.encoded(pretty: true) + [UInt8(ascii: "\n")]
        let path = "\(Self.directory)/\(kind.lowercased()).json"
        if getenv("KARS_WRITE_GOLDEN") != nil {
            try Files.createDirectories(Self.directory, mode: 0o755)
            try AtomicFile.write(text, to: path, mode: 0o644)
        }
        #expect(try Files.read(path, upTo: 1 << 20) == text)
    }
}
