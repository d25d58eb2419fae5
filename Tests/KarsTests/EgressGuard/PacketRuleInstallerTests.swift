import KarsCore
import Testing

@testable import Kars

@Suite struct `Packet rule installer` {
    /// Answers like iptables: keeps what restore was given and prints it with save.
    actor FakeKernel {
        private(set) var restored: [String] = []
        private var tables: [String: String] = [:]
        private let failing: (String) -> PacketToolResult?
        /// Applied to what save prints.
        private let distortion: (String) -> String

        init(
            failing: @escaping @Sendable (String) -> PacketToolResult? = { _ in nil },
            distortion: @escaping @Sendable (String) -> String = { $0 }
        ) {
            self.failing = failing
            self.distortion = distortion
        }

        func run(_ name: String, _ arguments: [String], _ input: String) -> PacketToolResult {
            if let result = failing(name) { return result }
            let family = String(name.prefix { $0 != "-" })
            if name.hasSuffix("-restore") {
                restored.append(name)
                var table = ""
                for line in input.split(separator: "\n" as Character) where !line.hasPrefix("#") && !line.hasPrefix("-D") {
                    if line.first == "*" {
                        table = "\(family) \(line.dropFirst())"
                        tables[table] = ""
                    }
                    let words = line.split(separator: " " as Character)
                    tables[table, default: ""] +=
                        words[0] == "-I" ? "-A \(words[1]) \(words[3...].joined(separator: " "))\n" : "\(line)\n"
                }
                return PacketToolResult(succeeded: true, output: "", errors: "")
            }
            let table = arguments.last ?? ""
            return PacketToolResult(
                succeeded: true, output: distortion(tables["\(family) \(table)"] ?? "*\(table)\nCOMMIT\n"), errors: "")
        }
    }

    func installer(
        _ kernel: FakeKernel, _ choice: PacketTool.Choice = .auto,
        has isInstalled: @escaping @Sendable (String) -> Bool = { _ in true }
    ) -> PacketRuleInstaller {
        PacketRuleInstaller(
            plan: GuardPlan(), families: GuardPlan.Family.allCases, choice: choice, isInstalled: isInstalled,
            run: { name, arguments, input in await kernel.run(name, arguments, input) })
    }

    @Test func `both families are installed and verified, also a second time`() async throws {
        let kernel = FakeKernel()
        let first = try await installer(kernel).install()
        #expect(first == "19 IPv4 and 23 IPv6 rules in force and verified (nft back end)")
        #expect(try await installer(kernel).install() == first)
        #expect(try await installer(kernel).check() == first)
        #expect(
            await kernel.restored == [
                "iptables-nft-restore", "ip6tables-nft-restore", "iptables-nft-restore", "ip6tables-nft-restore",
            ])
    }

    @Test func `a rule that the kernel does not hold fails and is named`() async throws {
        let kernel = FakeKernel(distortion: { text in
            text.split(separator: "\n" as Character, omittingEmptySubsequences: false).filter { !$0.contains("--dport 8446") }
                .joined(separator: "\n")
        })
        do throws(PacketRuleError) {
            _ = try await installer(kernel, .nft).install()
            Issue.record("a missing rule was not noticed")
        } catch {
            #expect(error.code == .different)
            #expect(error.description.contains("IPv4 rule 5 of KARS-EGRESS (router port 8446)"))
            #expect(error.description.contains("IPv6 rule 9 of KARS-EGRESS (router port 8446)"))
        }
    }

    @Test func `auto goes on to the next back end, and tells about each when none works`() async throws {
        let broken = PacketToolResult(succeeded: false, output: "", errors: "Failed to initialize nft: Protocol not supported\n")
        let kernel = FakeKernel(failing: { $0.contains("-nft-") ? broken : nil })
        #expect(try await installer(kernel).install().hasSuffix("(legacy back end)"))
        let none = FakeKernel(failing: { _ in broken })
        do throws(PacketRuleError) {
            _ = try await installer(none).install()
            Issue.record("no back end works, yet it succeeded")
        } catch {
            #expect(error.code == .failed)
            #expect(
                error.description.contains("iptables-nft-save -t filter failed: Failed to initialize nft: Protocol not supported")
            )
            #expect(error.description.contains("iptables-legacy-save"))
        }
    }

    @Test func `missing programs are a prerequisite, by name`() async throws {
        do throws(PacketRuleError) {
            _ = try await installer(FakeKernel(), .legacy, has: { !$0.hasPrefix("ip6tables") }).install()
            Issue.record("installed without ip6tables")
        } catch {
            #expect(error.code == .usage)
            #expect(
                error.description.contains(
                    "ip6tables-legacy-restore, ip6tables-legacy-save not installed; install the iptables package"))
        }
    }

    @Test func `the rule on the line of an error is named`() async throws {
        let kernel = FakeKernel(failing: {
            $0.hasSuffix("-restore")
                ? PacketToolResult(succeeded: false, output: "", errors: "iptables-restore: line 9 failed\n") : nil
        })
        do throws(PacketRuleError) {
            _ = try await installer(kernel, .legacy).install()
            Issue.record("a failing restore was not noticed")
        } catch {
            #expect(error.description.contains("--tcp-flags SYN SYN"))
            #expect(error.description.contains("(ends of the router's connections)"))
        }
    }
}
