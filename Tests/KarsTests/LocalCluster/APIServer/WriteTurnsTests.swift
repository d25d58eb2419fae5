import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Write turns` {
    @Test func `Services created at once get addresses of their own from a network that just holds them`() async throws {
        // Six addresses of a /29 can be given; twelve ask.
        let network = (base: IPv4Address(10, 96, 0, 0), prefix: 29)
        try await APIServerFixture.run(change: {
            $0.builtIn = BuiltInKinds.all
            $0.admission = [ServiceAddresses(network: network)]
        }) { api in
            try await api.call(.post, "/api/v1/namespaces", #"{"metadata":{"name":"default"}}"#)
            let answers = try await withThrowingTaskGroup(of: APIServerFixture.Answer.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        try await api.call(
                            .post, "/api/v1/namespaces/default/services",
                            #"{"metadata":{"name":"s\#(number)"},"spec":{"ports":[{"port":80}]}}"#)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let addresses = answers.filter { $0.status == 201 }.compactMap { $0.json["spec"]?["clusterIP"]?.stringValue }
            #expect(addresses.count == 6)
            #expect(Set(addresses).count == 6)
            #expect(answers.filter { $0.status == 422 }.count == 6)
        }
    }

    @Test func `who fails passes the turn on, and other collections do not wait`() async throws {
        let turns = WriteTurns()
        let services = CollectionName(group: "", resource: "services")
        await #expect(throws: APIStatus.self) {
            try await turns.take(of: services) { () async throws(APIStatus) in
                await turns.take(of: CollectionName(group: "", resource: "pods")) {}
                throw .methodNotAllowed()
            }
        }
        #expect(await turns.take(of: services) { 7 } == 7)
    }
}
