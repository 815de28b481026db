import { behindStream } from './behind-stream.ts'
import type { Queue } from './send-queue.ts'
import type { Trip } from './queue-entry.ts'

/**
 * Ends what waits behind a stream while nothing happens on that: its reader may be what waits.
 * `idleSince` tells since when that is so, and nothing once the stream is over.
 */
export function watchStream(
  timeout: number,
  queue: Queue,
  stream: Trip,
  idleSince: () => number | undefined,
): void {
  if (timeout === 0) return
  const look = (): void => {
    const idle = idleSince()
    if (idle === undefined) return
    // timers may fire a fraction of a millisecond early
    const waited = performance.now() - timeout + 1
    for (const trip of queue.take(({ since }) => Math.max(since, idle) <= waited)) {
      const origin = stream.statement?.origin
      trip.refuse(behindStream('for a turn on the connection', timeout, trip.asked, origin))
    }
    setTimeout(look, timeout / 2).unref()
  }
  // nothing waits for the clock of a stream that is over
  setTimeout(look, timeout).unref()
}
