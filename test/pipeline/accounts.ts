import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { DatabaseError, PoolClient, PoolConfig } from 'pg'
import { CHANNELS, type SavepointEvent, type TransactionEvent } from 'shared-connection'
import { afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import type { World } from '../setup/worlds.ts'

/** The argument of `client.query`: a text, or a query of the bridge with its deferred commands. */
interface Sent {
  text?: string
  deferred?: readonly { readonly sql: string }[]
}

/** A program, and its command that the server refuses. */
export interface Refusal {
  readonly name: string
  readonly command: string
  readonly run: (app: App, world: World, note: (state: unknown) => void) => Promise<unknown>
}

let refused: string | undefined

/** From now on, servers do not understand that command. */
export function refuse(command: string | undefined): void {
  refused = command
}

/** An application with such a server. */
export function useRefusingApp(lazy: boolean, pool: PoolConfig = {}): App {
  const app = useApp({ pool: { ...pool, max: 1 }, shared: { lazy } })
  afterEach(() => refuse(undefined))
  const spoilt = (text: string): string => (text === refused ? `${text} nonsense` : text)
  beforeAll(() => {
    // the bridge sends through the `query` that a client has when it comes into its hands
    app.pool.on('connect', (client: PoolClient) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      const send = (sent: Sent, ...rest: unknown[]): unknown => {
        if (sent.deferred?.length) {
          sent.deferred = sent.deferred.map(({ sql }) => ({ sql: spoilt(sql) }))
        }
        if (sent.text === refused && sent.text !== undefined) sent.text = spoilt(sent.text)
        return query(sent, ...rest)
      }
      Object.assign(client, { query: send })
    })
  })
  return app
}

let transactions: TransactionEvent[] = []
let savepoints: SavepointEvent[] = []
const onTransaction = (event: unknown): void => void transactions.push(event as TransactionEvent)
const onSavepoint = (event: unknown): void => void savepoints.push(event as SavepointEvent)

/** The facts of an error, without its stack. */
export function told(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause } = error
  const { code, severity, routine } = error as Partial<DatabaseError>
  return { name, message: message.split('\n', 1)[0], code, severity, routine, cause: told(cause) }
}

/** The account of a story: its error, states, log, rows, and the clients left in the pool. */
async function accountOf(app: App, story: (note: (state: unknown) => void) => Promise<unknown>) {
  transactions = []
  savepoints = []
  app.transcript.clear()
  const states: unknown[] = []
  const settled = await Promise.allSettled([story((state) => states.push(state))])
  const [end] = settled
  const error = end?.status === 'rejected' ? await failureOf(Promise.reject(end.reason)) : undefined
  // a statement that was never asked for, since its block did not run, is in no log
  const control = app.transcript.events().filter((event) => event.control !== undefined)
  return {
    error: told(error),
    states,
    log: control.map(
      ({ sql, control: kind, layer, holder, depth, savepoint, sqlstate, error: why }) => ({
        sql,
        kind,
        layer,
        holder,
        depth,
        savepoint,
        sqlstate,
        error: told(why),
      }),
    ),
    transactions: transactions.map((event) => [event.holder, event.outcome, told(event.error)]),
    savepoints: savepoints.map(({ name, depth, layer, state }) => ({ name, depth, layer, state })),
    rows: await app.rows(),
    clients: app.pool.totalCount,
    inTransaction: app.shared.inTransaction,
  }
}

/** A program, which notes states on its way. */
type Story = (app: App, note: (state: unknown) => void) => Promise<unknown>

export interface Accounts {
  readonly deferred: App
  readonly immediate: App
  /** The accounts of a story with deferred control commands, and without. */
  of(command: string, story: Story): Promise<Both>
}

type Account = Awaited<ReturnType<typeof accountOf>>
type Both = Record<'ofDeferred' | 'ofImmediate', Account>

/** Two applications, whose servers can refuse any control statement. */
export function useAccounts(): Accounts {
  const deferred = useRefusingApp(true)
  const immediate = useRefusingApp(false)
  beforeEach(() => {
    subscribe(`tracing:${CHANNELS.transaction}:asyncEnd`, onTransaction)
    subscribe(CHANNELS.savepoint, onSavepoint)
  })
  afterEach(() => {
    unsubscribe(`tracing:${CHANNELS.transaction}:asyncEnd`, onTransaction)
    unsubscribe(CHANNELS.savepoint, onSavepoint)
  })
  return {
    deferred,
    immediate,
    async of(command, story) {
      refuse(command)
      const ofDeferred = await accountOf(deferred, (note) => story(deferred, note))
      const ofImmediate = await accountOf(immediate, (note) => story(immediate, note))
      refuse(undefined)
      return { ofDeferred, ofImmediate }
    },
  }
}

/** Expects of both: the refusal is in the log, all savepoints have ended, the next transaction works. */
export async function expectSound(accounts: Accounts, { outer }: World, both: Both): Promise<void> {
  expect(both.ofImmediate.log.map(({ sqlstate }) => sqlstate)).toContain('42601')
  const [opened = [], ended = []] = [true, false].map((isOpen) =>
    both.ofDeferred.savepoints.filter(({ state }) => (state === 'open') === isOpen),
  )
  expect(ended.map(({ name }) => name).toSorted()).toEqual(
    opened.map(({ name }) => name).toSorted(),
  )
  for (const app of [accounts.deferred, accounts.immediate]) {
    await outer.block(app, () => outer.note(app, 'next'))
    expect((await app.rows()).at(-1)).toBe('next')
  }
}
