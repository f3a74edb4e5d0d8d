import FileClient
import HTTPSyntax
import HTTPTransport
import IORuntime
import Primitives
import SimulatedRuntime
import Testing

/// Answers `GET /status` with a fixed text.
private struct FixedStatus: HTTPResponder {
    let status: Status
    let text: String

    func respond(to request: HTTPRequest, _ exchange: HTTPExchange) async {
        let isStatus = request.head.path.elementsEqual("/status".utf8)
        do throws(HTTPExchangeFault) {
            try await exchange.respond(
                OutgoingResponse(isStatus ? self.status : .notFound), body: Array(self.text.utf8))
        } catch {
            // The client has gone.
        }
    }
}

@Suite struct StatusClientTests {
    @Test func `every node is asked, and each that does not answer is told apart`() {
        let good = #"{"node":7,"cluster":"ff","zone":"a","version":"1","promise":"p"}"#
        let answers: [FixedStatus?] = [
            FixedStatus(status: .ok, text: good), FixedStatus(status: .ok, text: "<html>"),
            FixedStatus(status: .unavailable, text: good), nil,
        ]
        let simulator = Simulator(seed: 3)
        var addresses: [SocketAddress] = []
        for (index, answer) in answers.enumerated() {
            let node = simulator.makeNode("n\(index)", host: "10.0.0.\(index + 1)")
            let address = SocketAddress(host: node.host, port: 9100)
            addresses.append(address)
            guard let answer else { continue }
            let environment = node.environment
            environment.simulatedLoops[0].spawn {
                do throws(StreamFault) {
                    _ = try await HTTPServer(environment, responder: answer).start(on: address)
                } catch {
                    Issue.record(error)
                }
            }
        }
        let environment = simulator.makeNode("person", host: "10.0.0.99").environment
        let silent = simulator.makeNode("silent", host: "10.0.0.50")
        addresses.append(SocketAddress(host: silent.host, port: 9100))
        silent.powerCut()
        let asked = addresses
        simulator.spawn("ask", on: environment.simulatedLoops[0]) {
            do { try await environment.loops[0].sleep(for: .seconds(1)) } catch { return }
            let start = environment.now
            let nodes = await StatusClient(environment, loop: environment.loops[0]).ask(asked)
            #expect(nodes.map(\.address) == asked)
            var node: UInt32?
            var faults: [NodeStatusFault] = []
            for answer in nodes.map(\.answer) {
                switch answer {
                case .success(let status): node = status.node
                case .failure(let fault): faults.append(fault)
                }
            }
            #expect(node == 7)
            #expect(faults == [.malformed, .refused(status: 503), .unreachable, .noAnswer])
            #expect(environment.now - start <= .seconds(6))
        }
        #expect(simulator.run(for: .seconds(60)).unfinished == [])
    }
}
