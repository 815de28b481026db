import { behindStream } from './behind-stream.ts'
import type { SendQueue } from './send-queue.ts'
import type { QueueEntry } from './queue-entry.ts'

/**
 * Ends what waits behind a stream while nothing happens on that: its reader may be what waits.
 * `idleSince` tells since when that is so, and nothing once the stream is over.
 */
export function watchStream(
  timeout: number,
  queue: SendQueue,
  stream: QueueEntry,
  idleSince: () => number | undefined,
): void {
  if (timeout === 0) return
  const look = (): void => {
    const idle = idleSince()
    if (idle === undefined) return
    // timers may fire a fraction of a millisecond early
    const waited = performance.now() - timeout + 1
    for (const entry of queue.take(({ since }) => Math.max(since, idle) <= waited)) {
      const callSite = stream.statement?.callSite
      entry.refuse(behindStream('for a turn on the connection', timeout, entry.asked, callSite))
    }
    setTimeout(look, timeout / 2).unref()
  }
  // nothing waits for the clock of a stream that is over
  setTimeout(look, timeout).unref()
}
