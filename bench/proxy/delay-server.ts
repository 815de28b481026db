// The process behind delay-proxy.ts. It ends with the process that forked it.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { DelayLine } from './delay-line.ts'
import type { Answer, Order } from './delay-proxy.ts'
import { TripCounter } from './trip-counter.ts'

const there = new DelayLine(0)
const back = new DelayLine(0)
const counters = new Set<TripCounter>()
let past = 0

process.on('message', (order: Order) => {
  if (order.type === 'listen') listen(order.host, order.port)
  if (order.type === 'delay') there.delay = back.delay = order.oneWay
  if (order.type === 'trips') {
    let trips = past
    for (const counter of counters) trips += counter.trips
    answer({ type: 'trips', trips })
  }
})
process.on('disconnect', () => process.exit())
// Ctrl-C reaches the whole process group, but the parent must still close its connections through here.
process.on('SIGINT', () => {})

function listen(host: string, port: number): void {
  const server = createServer((client) => {
    const counter = new TripCounter()
    counters.add(counter)
    client.on('data', (chunk) => counter.read(chunk))
    client.once('close', () => {
      counters.delete(counter)
      past += counter.trips
    })
    const upstream = connect(port, host)
    forward(client, upstream, there)
    forward(upstream, client, back)
  })
  server.listen(0, '127.0.0.1', () => {
    answer({ type: 'listening', port: (server.address() as AddressInfo).port })
  })
}

function forward(from: Socket, to: Socket, line: DelayLine): void {
  from.setNoDelay(true)
  from.on('data', (chunk) => line.push(() => to.write(chunk)))
  from.on('end', () => line.push(() => to.end()))
  from.on('error', () => line.push(() => to.destroy()))
}

function answer(message: Answer): void {
  process.send?.(message)
}
