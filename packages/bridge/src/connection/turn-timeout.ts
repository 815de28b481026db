import { TurnTimeoutError } from '../errors.ts'
import { describe } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { linesOf, type CallSite, callSiteHere } from '../transaction/call-site.ts'
import type { TransactionStack } from '../transaction/stack.ts'
import type { StartClock } from '../transaction/turns.ts'
import type { Dispatcher } from '../wire/dispatcher.ts'
import { IdleTimeout } from '../wire/idle-timeout.ts'
import { behindKeeper } from '../wire/stream-timeout.ts'

/**
 * Ends waits that cannot end, such as that of a block which awaits its own sibling. The clock runs only
 * while the connection is idle, so a sibling that works for ten minutes is no reason for a timeout.
 */
export function turnTimeoutClock(
  timeout: number,
  dispatcher: Dispatcher,
  stack: TransactionStack,
): StartClock {
  return (frame, expire, callSite) => {
    if (timeout === 0) return undefined
    const asked = callSite ?? callSiteHere()
    return startTimeout(timeout, dispatcher, () => expire(timedOut(timeout, frame, stack, asked)))
  }
}

/**
 * Waits for the statements of a frame that is to be released. Rejects after `timeout` milliseconds in which
 * nothing happens, because a stream that nobody reads or withClient() occupies the connection.
 */
export function whenIdleInTime(
  dispatcher: Dispatcher,
  timeout: number,
  { callSite }: Frame,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const expire = (): void => {
      clock.stop()
      reject(behindKeeper(timeout, callSite, dispatcher.keeper))
    }
    const clock = startTimeout(timeout, dispatcher, expire)
    void Promise.resolve(dispatcher.whenIdle()).then(() => {
      clock.stop()
      resolve()
    })
  })
}

/** Starts the timeout of one wait, which counts the time in which the connection is idle. */
function startTimeout(
  timeout: number,
  dispatcher: Dispatcher,
  expire: () => void,
): IdleTimeout<{ readonly since: number }> {
  const wait = { since: performance.now() }
  const clock = new IdleTimeout(timeout, [wait], () => dispatcher.idleSince, expire)
  clock.start()
  return clock
}

function timedOut(
  timeout: number,
  frame: Frame,
  stack: TransactionStack,
  asked: CallSite,
): TurnTimeoutError {
  const inTheWay = stack.frames.slice(frame.depth).find((inner) => inner.scoped)
  const [participant] = frame.joined?.values() ?? []
  return new TurnTimeoutError(
    `waited for a turn in ${describe(frame)} while nothing happened for ${timeout} ms in ` +
      `${inTheWay === undefined ? 'a block that has joined it' : describe(inTheWay)}. ` +
      'Does that block await what is waiting for it? The wait was asked for\n' +
      `${linesOf(asked)}\nand the block in its way began\n${linesOf(inTheWay?.callSite ?? participant ?? {})}`,
  )
}
