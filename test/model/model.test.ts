import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { mannersHere } from '../setup/worlds.ts'
import { programs } from './arbitrary.ts'
import { predict } from './oracle.ts'
import type { Step } from './program.ts'
import { liesOf } from './record.ts'
import { run } from './runner.ts'
import { forRuns, patience } from './settings.ts'
import { leftOf, silence } from './silence.ts'
import { imbalancesOf } from './wire.ts'

const manners = mannersHere([
  { name: 'lazy', shared: {}, pool: {} },
  { name: 'not lazy', shared: { lazy: false }, pool: {} },
  { name: 'pipeline', shared: {}, pool: { pipeline: true } },
])

const suites = manners
  .flatMap((manner) => [
    { ...manner, nesting: 'savepoint' as const },
    { ...manner, nesting: 'join' as const },
  ])
  .map((suite, index) => ({ ...suite, index }))

describe.each(suites)('$name, nesting: $nesting', ({ index, nesting, pool, shared }) => {
  const app = useApp({
    pool: { max: 30, ...pool },
    shared: { nesting, turnTimeout: 5_000, ...shared },
  })

  const property = fc.asyncProperty(programs, (program) => check(program, app, nesting))

  test(
    'programs do what the model predicts, and their results are true',
    () => fc.assert(property, forRuns(index, suites.length)),
    patience,
  )
})

/** Runs a program, and compares it with the model. */
async function check(
  program: readonly Step[],
  app: App,
  nesting: 'savepoint' | 'join',
): Promise<void> {
  app.transcript.clear()
  const quiet = silence()
  const record = await run(program, app, nesting)
  const left = await leftOf(app)
  const broken = await quiet.broken()
  const rows = await takeRows(app)

  expect([...broken, ...left]).toEqual([])
  expect(liesOf(record, rows)).toEqual([])
  expect(imbalancesOf(app.transcript.events())).toEqual([])

  const told = predict(program, nesting)
  if (!told.isCertain) return
  expect(told.isOrdered ? record.log : record.log.toSorted()).toEqual(
    told.isOrdered ? told.log : told.log.toSorted(),
  )
  expect([...rows].toSorted()).toEqual([...told.rows].toSorted())
}

/** Returns the texts of the committed notes, and empties the table. */
async function takeRows({ observer }: App): Promise<Set<string>> {
  const { rows } = await observer.query<{ text: string }>('delete from note returning text')
  return new Set(rows.map(({ text }) => text))
}
