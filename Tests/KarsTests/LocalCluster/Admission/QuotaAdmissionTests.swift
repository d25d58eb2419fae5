import KarsCore
import Testing

@testable import Kars

@Suite struct `Quota admission` {
    static func shelf(_ hard: String, pods: [String] = []) -> ObjectShelf {
        let shelf = ObjectShelf([
            (
                QuotaUsage.quotas,
                .read(#"{"metadata":{"name":"rq","namespace":"golden"},"spec":{"hard":\#(hard)}}"#)
            )
        ])
        for (index, resources) in pods.enumerated() {
            shelf.put(
                .pods,
                .read(
                    #"{"metadata":{"name":"p\#(index)","namespace":"golden"},"spec":{"containers":[{"name":"c","resources":\#(resources)}]}}"#
                ))
        }
        return shelf
    }

    static func refusal(_ shelf: ObjectShelf, _ resources: String) async -> APIStatus? {
        var pod = JSONObject.read(
            #"{"metadata":{"name":"pq","namespace":"golden"},"spec":{"containers":[{"name":"c","resources":\#(resources)}]}}"#)
        do throws(APIStatus) {
            _ = try await QuotaAdmission().admit(&pod, old: nil, .of(.create, .pods), reader: shelf)
            return nil
        } catch { return error }
    }

    /// Record `quota-exceeded`.
    @Test func `what passes a limit is refused in the recorded words`() async {
        let shelf = Self.shelf(
            #"{"pods":"3","requests.cpu":"500m"}"#,
            pods: [
                #"{"requests":{"cpu":"100m"}}"#, #"{"requests":{"cpu":"0"}}"#, #"{"requests":{"cpu":"0"}}"#,
                #"{"requests":{"cpu":"0"}}"#,
            ])
        let refusal = await Self.refusal(shelf, #"{"requests":{"cpu":"2"}}"#)
        #expect(
            refusal?.message
                == #"pods "pq" is forbidden: exceeded quota: rq, requested: pods=1,requests.cpu=2, used: pods=4,requests.cpu=100m, limited: pods=3,requests.cpu=500m"#
        )
        #expect(refusal?.code == 403)
    }

    @Test func `only what is passed is named`() async {
        let refusal = await Self.refusal(Self.shelf(#"{"pods":"3","requests.cpu":"1"}"#), #"{"requests":{"cpu":"2"}}"#)
        #expect(refusal?.message.hasSuffix("requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1") == true)
    }

    /// Record `quota-must-specify`.
    @Test func `who is limited must say what it needs`() async {
        let refusal = await Self.refusal(Self.shelf(#"{"pods":"3","requests.cpu":"500m"}"#), "{}")
        #expect(refusal?.message == #"pods "pq" is forbidden: failed quota: rq: must specify requests.cpu for: c"#)
    }

    @Test func `the limit itself is not beyond it`() async {
        let shelf = Self.shelf(#"{"pods":"2","requests.cpu":"500m"}"#, pods: [#"{"requests":{"cpu":"100m"}}"#])
        #expect(await Self.refusal(shelf, #"{"requests":{"cpu":"400m"}}"#) == nil)
        #expect(await Self.refusal(shelf, #"{"requests":{"cpu":"401m"}}"#) != nil)
    }

    @Test func `pods that have ended and other namespaces do not count`() async {
        let shelf = Self.shelf(#"{"pods":"1"}"#)
        shelf.put(
            .pods,
            .read(#"{"metadata":{"name":"a","namespace":"golden"},"spec":{"containers":[]},"status":{"phase":"Succeeded"}}"#))
        shelf.put(.pods, .read(#"{"metadata":{"name":"b","namespace":"other"},"spec":{"containers":[]}}"#))
        #expect(await Self.refusal(shelf, "{}") == nil)
    }

    @Test func `a pod needs what its containers need together, or more for an init container`() {
        let pod = JSONObject.read(
            #"""
            {"spec":{"initContainers":[{"resources":{"requests":{"cpu":"1","memory":"10Mi"}}}],
            "containers":[{"resources":{"requests":{"cpu":"300m","memory":"64Mi"}}},{"resources":{"limits":{"cpu":"200m"}}}]}}
            """#)
        let usage = QuotaUsage.of(pod, .pods)
        #expect(usage["requests.cpu"]?.description == "1" && usage["requests.memory"]?.description == "64Mi")
        #expect(usage["limits.cpu"]?.description == "200m" && usage["pods"]?.description == "1")
        #expect(usage["count/pods"]?.description == "1")
    }
}
