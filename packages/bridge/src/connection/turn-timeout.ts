import { TurnTimeoutError } from '../errors.ts'
import { describe } from '../transaction/frame-errors.ts'
import type { Frame } from '../transaction/frame.ts'
import { linesOf, type CallSite, callSiteHere } from '../transaction/call-site.ts'
import type { TransactionStack } from '../transaction/stack.ts'
import type { StartClock } from '../transaction/turns.ts'
import type { Dispatcher } from '../wire/dispatcher.ts'

/**
 * Ends waits that can not end: a block that awaits its own sibling, say. The clock runs only while
 * the connection is idle, so a sibling that works for ten minutes times nobody out.
 */
export function turnTimeoutClock(
  timeout: number,
  dispatcher: Dispatcher,
  stack: TransactionStack,
): StartClock {
  return (frame, expire, callSite) => {
    if (timeout === 0) return undefined
    const began = performance.now()
    const asked = callSite ?? callSiteHere()
    let timer = setTimeout(look, timeout)

    function look(): void {
      const idle = performance.now() - Math.max(began, dispatcher.idleSince)
      // timers may fire a fraction of a millisecond early
      if (idle < timeout - 1) timer = setTimeout(look, timeout - idle)
      else expire(timedOut(timeout, frame, stack, asked))
    }
    return { stop: () => clearTimeout(timer) }
  }
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
