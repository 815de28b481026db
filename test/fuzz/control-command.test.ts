import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type ControlCommand,
  controlCommand,
  type TransactionModes,
} from '../../packages/bridge/src/sql/control-command.ts'
import { useDatabase } from '../setup/database.ts'
import { objections } from './judge.ts'
import { type Place, places, type Protocol, Server } from './server.ts'
import { name, withModes } from './controls.ts'
import { text } from './texts.ts'

// FUZZ_RUNS=200000 tries more texts, from a random seed. FUZZ_SEED repeats a run.
const runs = Number(process.env['FUZZ_RUNS'] ?? 3000)
const seed = Number(
  process.env['FUZZ_SEED'] ?? ('FUZZ_RUNS' in process.env ? Date.now() % 2 ** 31 : 20_250_101),
)
const timeout = 10_000 + runs * 20

const database = useDatabase()
let server: Server

beforeAll(async () => {
  server = await Server.connect(database.url)
  await server.ask('create table t (n int)')
})
afterAll(async () => {
  await server.goTo('idle')
  await server.end()
})

function check<T>(property: fc.IAsyncProperty<T>, numRuns: number): Promise<void> {
  return Promise.resolve(fc.assert(property, { numRuns: Math.ceil(numRuns), seed }))
}

describe(`what the tokenizer says is what the server does (seed ${seed})`, { timeout }, () => {
  const place = fc.constantFrom(...(Object.keys(places) as Place[]))

  test.each<Protocol>(['simple', 'extended'])(
    'with a text in the %s protocol',
    async (protocol) => {
      const property = fc.asyncProperty(text, place, async (made, from) => {
        await server.goTo(from)
        const answer = await server.ask(made, protocol)
        const wrong = objections(made, protocol === 'extended', answer)
        expect(wrong, JSON.stringify({ made, from, tags: answer.tags })).toEqual([])
      })
      await check(property, runs / 2)
    },
  )

  test('with two names, which are equal for both or for neither', async () => {
    const property = fc.asyncProperty(name, name, async (one, other) => {
      await server.goTo('in a transaction')
      const made = await server.ask(`savepoint ${one}`)
      const found = await server.ask(`release savepoint ${other}`)
      const said = [nameIn(`savepoint ${one}`), nameIn(`release savepoint ${other}`)]
      // A text that either side refuses cannot be mistaken for another.
      if (made.error !== undefined || found.error?.code === '42601') return
      if (said.includes(undefined)) return
      expect(said[0] === said[1], JSON.stringify(said)).toBe(found.error === undefined)
    })
    await check(property, runs / 5)
  })

  test('with modes, which are the same for the frame and the server', async () => {
    const property = fc.asyncProperty(withModes, async (made) => {
      await server.goTo(/^set/i.test(made) ? 'in a transaction' : 'idle')
      const { error } = await server.ask(made)
      if (error !== undefined) return
      const said = controlCommand(made, false)
      expect({ ...usual, ...(said && 'modes' in said && said.modes) }).toEqual(await server.modes())
    })
    await check(property, runs / 5)
  })
})

const usual: Required<TransactionModes> = {
  isolationLevel: 'read committed',
  accessMode: 'read write',
  deferrable: false,
}

function nameIn(command: string): string | undefined {
  const said: ControlCommand | undefined = controlCommand(command, true)
  return said !== undefined && 'name' in said ? said.name : undefined
}
