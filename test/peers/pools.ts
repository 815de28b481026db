// Shares every pool that a suite makes, when it is first used. Preloaded into the suite's processes.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { drizzle } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import { shareConnection } from 'shared-connection'
import { noteShared } from './witness.ts'

const { Pool }: typeof pg = createRequire(join(process.cwd(), 'suite.js'))('pg')
// pg's own Pool is derived from that of pg-pool, which the suite uses.
const { prototype } = Object.getPrototypeOf(Pool) as { prototype: Record<Method, Function> }
const shared = new WeakSet<object>()

type Method = 'connect' | 'query' | 'end'

for (const method of ['connect', 'query', 'end'] as const) {
  const stock = prototype[method]
  prototype[method] = function (this: pg.Pool, ...args: unknown[]) {
    if (shared.has(this)) return Reflect.apply(stock, this, args)
    shared.add(this)
    shareConnection(drizzle({ client: this }))
    noteShared()
    return Reflect.apply(this[method], this, args)
  }
}
