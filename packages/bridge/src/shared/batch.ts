import {
  BatchResultError,
  InvalidArgumentError,
  StatementSkippedError,
  TransactionOutcomeUnknownError,
} from '../errors.ts'
import { suppress } from '../suppress.ts'

import type { Database } from '../database/database.ts'
import { begin, commit, rollback } from '../database/lease-transaction.ts'
import type { Lease, LeaseOptions } from '../database/lease.ts'
import { currentScope } from '../transaction/scope.ts'
import type { Frame } from '../transaction/frame.ts'
import type { BatchCollector } from '../wire/batch-collector.ts'
import { callSiteAbove } from '../transaction/call-site.ts'
import { kindOf } from '../wording.ts'

/** A statement that is not sent yet: a query builder of Drizzle or Kysely. */
export interface BatchItem {
  /** Sends the statement. `shared.batch()` calls it, so pass builders that were not executed. */
  execute(...args: never[]): Promise<unknown>
}

/** The results of the items of a batch, in their order. */
export type BatchResults<T extends readonly BatchItem[]> = {
  -readonly [K in keyof T]: T[K] extends { execute(...args: never[]): Promise<infer R> } ? R : never
}

/** Sends statements as one transaction, before one Sync. */
export async function runBatch(
  database: Database,
  items: readonly BatchItem[],
): Promise<unknown[]> {
  if (!Array.isArray(items)) {
    throw new InvalidArgumentError(
      `shared.batch() was given ${kindOf(items)}; give it an array of builders`,
    )
  }
  items.forEach((item: Partial<BatchItem> | null | undefined, index) => {
    if (typeof item?.execute === 'function') return
    throw new InvalidArgumentError(
      `item ${index} of the batch is ${kindOf(item)}; give builders of Drizzle or Kysely that were not executed`,
    )
  })
  if (items.length === 0) return []
  const options: LeaseOptions = { layer: 'shared', joins: false, callSite: callSiteAbove(2) }
  return database.block(options, (lease) => sendTogether(database, lease, items))
}

async function sendTogether(
  database: Database,
  lease: Lease,
  items: readonly BatchItem[],
): Promise<unknown[]> {
  await begin(lease, {}, true, currentScope())
  const frame = lease.opened
  if (frame === undefined) throw new Error('a batch has a frame of its own')
  const collector = lease.connection.dispatcher.collect(frame)
  const results: Promise<unknown>[] = []
  const isComplete = await database.body(lease, () => collect(items, collector, results))
  const settled = Promise.allSettled(results)
  let commits = isComplete
  // Pipeline COMMIT only if all statements are in its pipeline, so that a failed one makes the server
  // skip it. A RELEASE is deferred, so it can wait for the results that the layers make of the rows.
  if (isComplete && (frame.parent !== undefined || !collector.isWhole)) {
    collector.release()
    commits = (await settled).every(({ status }) => status === 'fulfilled')
  }
  const ended = Promise.allSettled([commits ? commit(lease) : rollback(lease)])
  collector.release()
  const [end] = await ended
  const outcomes = await settled
  if (!frame.ended) await rollback(lease)
  return resultsOf(frame, isComplete, outcomes, end)
}

/**
 * Starts the items one after the other, so that their statements leave in this order whatever way each
 * has through its layer. Returns false if one has sent nothing.
 */
async function collect(
  items: readonly BatchItem[],
  collector: BatchCollector,
  results: Promise<unknown>[],
): Promise<boolean> {
  for (const item of items) {
    const isCollected = await collector.start(() => {
      const result = (async () => item.execute())()
      results.push(result)
      return result
    })
    if (!isCollected) return false
  }
  return true
}

/** The results of a batch that has ended, or the first error. `end` is how its COMMIT or ROLLBACK went. */
function resultsOf(
  frame: Frame,
  isComplete: boolean,
  outcomes: readonly PromiseSettledResult<unknown>[],
  end: PromiseSettledResult<unknown> | undefined,
): unknown[] {
  const endError = end?.status === 'rejected' ? { error: end.reason as unknown } : undefined
  // Then nobody knows what became of the statements, whatever their answers were.
  if (endError?.error instanceof TransactionOutcomeUnknownError) throw endError.error
  const first = isComplete
    ? outcomes.find((outcome) => outcome.status === 'rejected' && !isSkipped(outcome.reason))
    : outcomes.at(-1)
  if (first?.status === 'rejected') {
    if (frame.phase !== 'committed') throw first.reason
    const error = new BatchResultError(outcomes.indexOf(first), first.reason)
    if (endError !== undefined) suppress(error, endError.error)
    throw error
  }
  if (!isComplete) throw elsewhere()
  if (endError !== undefined) throw endError.error
  return outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : undefined))
}

/** Whether a statement failed only because another one did. A layer may have wrapped that error. */
function isSkipped(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: unknown }
  return error instanceof StatementSkippedError || cause instanceof StatementSkippedError
}

function elsewhere(): InvalidArgumentError {
  return new InvalidArgumentError(
    'an item of the batch has sent nothing over this connection: it was built by another database, or served by a cache. ' +
      'The other items were not sent; anything that this item did elsewhere is not undone',
  )
}
