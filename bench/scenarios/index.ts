import type { Probe } from '../probe.ts'
import type { Scenario } from '../scenario.ts'
import { batchOfTen } from './batch-of-ten.ts'
import { calls } from './calls.ts'
import { fiveLevels } from './five-levels.ts'
import { heapGrowth } from './heap-growth.ts'
import { hooks } from './hooks.ts'
import { insert } from './insert.ts'
import { insertsTogether } from './inserts-together.ts'
import { javascript } from './javascript.ts'
import { largeRead } from './large-read.ts'
import { mixedRequest, mixedRequestSaturated } from './mixed-request.ts'
import { nesting } from './nesting.ts'
import { openTransactions } from './open-transactions.ts'
import { promoted } from './promoted.ts'
import { pointQueryInside } from './point-query-inside.ts'
import { pointQuery } from './point-query.ts'
import { protocol } from './protocol.ts'
import { savepoint } from './savepoint.ts'
import { subscribers } from './subscriber.ts'
import { throughputs } from './throughput.ts'
import { twoInserts } from './two-inserts.ts'

/** The scenarios that measure time, in this order. */
export const scenarios: readonly Scenario[] = [
  // This one is first, since the others print its ratios as their limits.
  protocol,
  pointQuery,
  pointQueryInside,
  largeRead,
  insert,
  twoInserts,
  savepoint,
  fiveLevels,
  insertsTogether,
  batchOfTen,
  mixedRequest,
  mixedRequestSaturated,
  ...throughputs,
  ...subscribers,
  hooks,
  nesting,
]

/** The measurements of other quantities. */
export const probes: readonly Probe[] = [promoted, openTransactions, heapGrowth, javascript, calls]
