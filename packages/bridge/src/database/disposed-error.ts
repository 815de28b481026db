import { DisposeError } from '../errors.ts'
import { nameOf, type Settings } from '../settings.ts'
import { callSiteHere, linesOf } from '../transaction/call-site.ts'

/** The error for work on a shared connection after its `dispose()`. */
export function disposedError(settings: Settings): DisposeError {
  return new DisposeError(
    `the shared connection of ${nameOf(settings)} was disposed of. ` +
      'Call shareConnection(orm) again, and use the shared connection and the Kysely database that you get from it. ' +
      `It was used\n${linesOf(callSiteHere())}`,
  )
}
