import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CHANNELS } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { recorder } from '../setup/recorder.ts'
import { worlds } from '../setup/worlds.ts'

const boom = new Error('boom')
const tracing = [CHANNELS.query, CHANNELS.transaction].flatMap((name) =>
  ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((moment) => `tracing:${name}:${moment}`),
)
const { savepoint, acquire, release, hook, notice } = CHANNELS
const everyChannel = [...tracing, savepoint, acquire, release, hook, notice]

/** Runs a program that publishes on every channel. Returns its results. */
async function program(app: ReturnType<typeof useApp>, world: (typeof worlds)[number]) {
  const { outer, inner } = world
  const seen: unknown[] = []
  await outer.block(app, async () => {
    await outer.note(app, 'a')
    await app.db.afterCommit(() => void seen.push('afterCommit'))
    seen.push(await inner.block(app, async () => 'value'))
    await inner
      .block(app, async () => {
        await inner.note(app, 'b')
        await app.db.afterRollback(() => void seen.push('afterRollback'))
        throw boom
      })
      .catch((error) => seen.push(error))
    await app.pool.query("do $$ begin raise notice 'remark'; end $$")
    await inner.block(app, () => inner.note(app, 'c'))
  })
  await Promise.resolve(outer.note(app, 'a')).catch(() => seen.push('duplicate'))
  return seen
}

const SEEN = ['value', 'afterRollback', boom, 'afterCommit', 'duplicate']

describe('a broken subscriber', () => {
  const app = useApp()
  const broken = new Error('a broken subscriber')
  const fail = (): void => {
    throw broken
  }
  let thrown: unknown[] = []
  let listeners: NodeJS.UncaughtExceptionListener[] = []
  const onUncaught = (error: unknown): void => void thrown.push(error)

  beforeEach(() => {
    // Node reports errors of subscribers as uncaught exceptions, independently of the publisher.
    thrown = []
    listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', onUncaught)
    for (const name of everyChannel) subscribe(name, fail)
  })
  afterEach(() => {
    for (const name of everyChannel) unsubscribe(name, fail)
    process.off('uncaughtException', onUncaught)
    for (const listener of listeners) process.on('uncaughtException', listener)
  })

  test.each(worlds)('fails no query, no commit and no hook, in $name', async (world) => {
    expect(await program(app, world)).toEqual(SEEN)
    expect(await app.rows()).toEqual(['a', 'c'])
    expect(app.transcript.lines().filter((line) => line === 'commit')).toHaveLength(1)
    expect(thrown.length).toBeGreaterThan(10)
    expect(new Set(thrown)).toEqual(new Set([broken]))
  })
})

describe('subscribers', () => {
  const heardWire = recorder()
  const unheardWire = recorder()
  const heard = useApp({ pool: { max: 1, stream: () => heardWire.stream() } })
  const unheard = useApp({ unheard: true, pool: { max: 1, stream: () => unheardWire.stream() } })
  const ignore = (): void => {}

  test.each(worlds)('change neither the wire nor the results, in $name', async (world) => {
    // The notices ensure that no other event is pending.
    unsubscribeAll()
    heard.transcript.stop()
    await unheard.pool.query('select 1')
    await heard.pool.query('select 1')
    unheardWire.clear()
    heardWire.clear()

    expect(await program(unheard, world)).toEqual(SEEN)
    for (const name of everyChannel) subscribe(name, ignore)
    try {
      expect(await program(heard, world)).toEqual(SEEN)
    } finally {
      unsubscribeAll()
    }
    expect(heardWire.statements()).toContain('commit')
    expect(heardWire.statements()).toEqual(unheardWire.statements())
    expect(heardWire.trips()).toBe(unheardWire.trips())
    expect(await heard.rows()).toEqual(['a', 'c'])
    expect(await unheard.rows()).toEqual(['a', 'c'])
  })

  function unsubscribeAll(): void {
    for (const name of everyChannel) unsubscribe(name, ignore)
  }
})
