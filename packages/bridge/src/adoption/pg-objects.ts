import { InvalidArgumentError } from '../errors.ts'
import type { PgClient, PgPool } from '../protocol/pg.ts'
import { kindOf } from '../wording.ts'

export function isPool(value: unknown): value is PgPool {
  return has(value, 'query', 'connect', 'end') && 'totalCount' in value
}

export function isClient(value: unknown): value is PgClient {
  return has(value, 'query', 'connect', 'end', 'getTransactionStatus')
}

function has(value: unknown, ...methods: readonly string[]): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function')
  )
}

/** Refuses a pool that was ended, or whose clients are not those of a `pg` that the bridge works with. */
export function assertUsable(pool: PgPool): void {
  if (pool.ending || pool.ended) {
    throw new InvalidArgumentError(
      'the pool was ended: end() was called on it, and it gives out no more clients. Make a new pool, and a Drizzle database on it',
    )
  }
  const { Client } = pool as { Client?: { prototype?: object } }
  if (Client?.prototype !== undefined && !('getTransactionStatus' in Client.prototype)) {
    throw notPg(pool)
  }
}

/** The error for a value that is neither a pool nor a client of `pg`. */
export function notPg(value: unknown): InvalidArgumentError {
  const isNative = has(value, 'query') && value.constructor.name.includes('Native')
  const isPoolOfOther = typeof value === 'object' && value !== null && 'Client' in value
  const given = isNative || isPoolOfOther ? 'pg.native, or a pg before 8.21' : kindOf(value)
  return new InvalidArgumentError(
    `expected a Pool or Client of pg 8.21 or newer under Drizzle, got ${given}. ` +
      'Make the Drizzle database with drizzle(url) or drizzle({ client: new pg.Pool(…) }) of drizzle-orm/node-postgres',
  )
}
