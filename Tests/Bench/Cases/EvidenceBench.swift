import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

extension Bench {
    /// The cost of a record at level `written`, hash and `write` included, and the speed of verifying.
    static let evidence = Case(name: "evidence") {
        var template = Array("/tmp/kars-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError("mkdtemp", "/tmp", errno: errno) }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? Files.remove(directory) }
        let config = EvidenceConfig(directory: directory + "/audit", keyFile: directory + "/key", sandbox: "dev-agent")
        let log = try EvidenceLog(config)
        let event = EvidenceEvent(
            surface: .inference, action: "inference:chat_completions:gpt-4.1", decision: .allow, agentID: "dev-agent",
            reason: "", rule: "allow-models", policyDigest: EvidenceEvent.digest([1]), detailDigest: EvidenceEvent.digest([2]))
        let count = 50_000
        var cpu: [Double] = []
        var wall: [Double] = []
        for _ in 0..<9 {
            let (startCPU, start) = (cpuSeconds(), Instant.now())
            for _ in 0..<count { try log.append(event) }
            cpu.append(cpuSeconds() - startCPU)
            wall.append(Instant.now().duration(since: start).inSeconds)
            // Keeps below the limit of unsigned records, outside of the measured time.
            try log.sync()
        }
        try log.close()
        let started = cpuSeconds()
        let report = try EvidenceVerifier(directory: config.directory).verify()
        let verified = cpuSeconds() - started
        return [
            Figure(name: "append, CPU of the process", value: cpu.sorted()[4] / Double(count) * 1e6, unit: "µs"),
            Figure(name: "append, wall", value: wall.sorted()[4] / Double(count) * 1e6, unit: "µs"),
            Figure(name: "verify", value: Double(report.records) / verified / 1e6, unit: "M records per CPU second"),
        ]
    }

    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
