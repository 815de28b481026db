import { TurnTimeoutError } from '../errors.ts'
import { connectionOf } from '../connection/connection.ts'
import { describe, placeOf } from '../transaction/frame-errors.ts'
import type { CallSite } from '../transaction/call-site.ts'
import type { Frame } from '../transaction/frame.ts'
import { IdleTimeout } from '../wire/idle-timeout.ts'

/**
 * The end of a pool that was asked for inside a transaction, for whose client the pool waits. A block that
 * awaits it would never end, so it rejects if nothing has happened on that client for `timeout` milliseconds.
 * The pool ends all the same once the client is back.
 */
export function endInside(
  ending: Promise<void>,
  root: Frame,
  timeout: number,
  asked: CallSite,
): Promise<void> {
  const answer = new Promise<void>((resolve, reject) => {
    const clock = new IdleTimeout(
      timeout,
      [{ since: performance.now() }],
      () => connectionOf(root).dispatcher.idleSince,
      () => {
        clock.stop()
        reject(endsNever(root, timeout, asked))
      },
    )
    clock.start()
    const settled = (): void => clock.stop()
    ending.then(settled, settled)
    ending.then(resolve, reject)
  })
  // Whoever does not await it need not be told.
  answer.catch(() => undefined)
  return answer
}

function endsNever(root: Frame, timeout: number, asked: CallSite): TurnTimeoutError {
  return new TurnTimeoutError(
    `end() of the pool waits for the client of ${describe(root)}, inside which it was called, and nothing happened on that client for ${timeout} ms. ` +
      `Call it after the transaction, or do not await it there. ${placeOf(root, asked)}`,
  )
}
