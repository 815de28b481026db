import { type DrizzleLike, shareConnection } from 'shared-connection'
import { noteShared } from './witness.ts'

interface Stock {
  readonly drizzle: (...args: unknown[]) => DrizzleLike
}

/** A `drizzle` that shares the connection of each database that it makes. */
export function bridge({ drizzle }: Stock): Stock {
  return {
    // A proxy, so that `drizzle.mock` is still there.
    drizzle: new Proxy(drizzle, {
      apply(target, self, args) {
        const orm = Reflect.apply(target, self, args)
        shareConnection(orm)
        noteShared()
        return orm
      },
    }),
  }
}
