import type { PgClient } from './pg.ts'

const known = new WeakMap<object, boolean>()

/**
 * Whether a `query()` is not that of `pg` itself: a tracer has wrapped it, or a class of its own has
 * overridden it. Only the method of `pg` puts a query into the queue of the client, so its source shows
 * which one it is. Where the source cannot show it, the method counts as wrapped.
 */
export function isWrapped(query: PgClient['query']): boolean {
  let answer = known.get(query)
  if (answer === undefined) {
    answer = !/_queryQueue\s*\.\s*push\s*\(/.test(Function.prototype.toString.call(query))
    known.set(query, answer)
  }
  return answer
}
