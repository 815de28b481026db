import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { DatabaseError, PoolClient, PoolConfig } from 'pg'
import { CHANNELS, type SavepointEvent, type TransactionEvent } from 'shared-connection'
import { afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import type { World } from '../setup/worlds.ts'

/** What is sent to the client: a text, or a query of the bridge's with what rides in front. */
interface Sent {
  text?: string
  riders?: readonly string[]
}

/** What a program does, and the command of it that the server refuses. */
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
        if (sent.riders?.length) sent.riders = sent.riders.map(spoilt)
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

/** What is told of an error, but for where it was raised. */
export function told(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause } = error
  const { code, severity, routine } = error as Partial<DatabaseError>
  return { name, message: message.split('\n', 1)[0], code, severity, routine, cause: told(cause) }
}

/** All that is told of what `story` comes to: its error, states, log, rows, and who is left in the pool. */
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

/** A program, which notes what it comes by. */
type Story = (app: App, note: (state: unknown) => void) => Promise<unknown>

export interface Accounts {
  readonly riding: App
  readonly lone: App
  /** The account of the same story where control statements ride, and where each is a trip of its own. */
  of(command: string, story: Story): Promise<Both>
}

type Account = Awaited<ReturnType<typeof accountOf>>
type Both = Record<'ofRiding' | 'ofLone', Account>

/** Two applications, whose servers can refuse any control statement. */
export function useAccounts(): Accounts {
  const riding = useRefusingApp(true)
  const lone = useRefusingApp(false)
  beforeEach(() => {
    subscribe(`tracing:${CHANNELS.transaction}:asyncEnd`, onTransaction)
    subscribe(CHANNELS.savepoint, onSavepoint)
  })
  afterEach(() => {
    unsubscribe(`tracing:${CHANNELS.transaction}:asyncEnd`, onTransaction)
    unsubscribe(CHANNELS.savepoint, onSavepoint)
  })
  return {
    riding,
    lone,
    async of(command, story) {
      refuse(command)
      const ofRiding = await accountOf(riding, (note) => story(riding, note))
      const ofLone = await accountOf(lone, (note) => story(lone, note))
      refuse(undefined)
      return { ofRiding, ofLone }
    },
  }
}

/** What holds of both accounts: the refusal is in the log, savepoints have ended, the next works. */
export async function expectSound(accounts: Accounts, { outer }: World, both: Both): Promise<void> {
  expect(both.ofLone.log.map(({ sqlstate }) => sqlstate)).toContain('42601')
  const [opened = [], ended = []] = [true, false].map((isOpen) =>
    both.ofRiding.savepoints.filter(({ state }) => (state === 'open') === isOpen),
  )
  expect(ended.map(({ name }) => name).toSorted()).toEqual(
    opened.map(({ name }) => name).toSorted(),
  )
  for (const app of [accounts.riding, accounts.lone]) {
    await outer.block(app, () => outer.note(app, 'next'))
    expect((await app.rows()).at(-1)).toBe('next')
  }
}
