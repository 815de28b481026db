import { beforeEach, describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

const insert = 'insert into note (text) values ($1)'
let names = 0

describe.each(joining)('prepared statements issued together, with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)
  let name = ''

  beforeEach(() => {
    name = `together ${++names}`
  })

  const named = (text: string, own = name) =>
    app.pool.query({ name: own, text: insert, values: [text] })

  /** How many statements of this test the server has. */
  async function held(): Promise<number> {
    const { rows } = await app.pool.query<{ name: string }>(
      'select name from pg_prepared_statements',
    )
    return rows.filter((row) => row.name.startsWith(name)).length
  }

  test('are prepared once, though the name is new to both', async () => {
    clear()
    await app.shared.transaction(() => Promise.all([named('a'), named('b'), named('c')]))
    expect(trips()).toBe(2)
    expect(await held()).toBe(1)
    await app.shared.transaction(() => Promise.all([named('d'), named('e')]))
    await named('f')
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('are used by the next request, if they were skipped', async () => {
    await failureOf(
      app.shared.transaction(() =>
        Promise.all([app.pool.query('select 1 / 0'), named('a'), named('b', `${name} b`)]),
      ),
    )
    expect(await held()).toBe(0)
    await app.shared.transaction(() => Promise.all([named('a'), named('b', `${name} b`)]))
    expect(await held()).toBe(2)
    await named('c')
    expect(await app.rows()).toEqual(['a', 'b', 'c'])
  })

  test('are used by the next request, if they failed when they ran', async () => {
    await note(app, 'taken')
    const failing = () =>
      app.shared.transaction(() => Promise.all([note(app, 'a'), named('taken'), named('b')]))
    expect(await failureOf(failing())).toBeInstanceOf(Error)
    expect(await failureOf(failing())).toBeInstanceOf(Error)
    await named('c')
    expect(await app.rows()).toEqual(['taken', 'c'])
  })

  test.each(['first', 'second'])(
    'that cannot be parsed leave no name behind, as %s',
    async (place) => {
      const broken = () => app.pool.query({ name, text: 'select nothing from nowhere' })
      const failing = app.shared.transaction(() =>
        place === 'first'
          ? Promise.all([broken(), named('a', `${name} a`)])
          : Promise.all([named('a', `${name} a`), broken()]),
      )
      expect(await failureOf(failing)).toBeInstanceOf(Error)
      await named('b')
      await named('a', `${name} a`)
      expect(await app.rows()).toEqual(['b', 'a'])
    },
  )

  test('of one broken name, twice in one pipeline, leave no name behind', async () => {
    const broken = () => app.pool.query({ name, text: 'select nothing from nowhere' })
    const fates: string[] = []
    await failureOf(
      app.shared.transaction(async () => {
        fates.push(...(await fatesOf([broken(), broken(), named('a', `${name} a`)])))
      }),
    )
    expect(fates).toEqual([
      'error 42P01',
      'StatementSkippedError 25P02',
      'StatementSkippedError 25P02',
    ])
    await named('b')
    expect(await app.rows()).toEqual(['b'])
  })

  test('behind a BEGIN that fails are prepared by the next request', async () => {
    const failing = app.shared.transaction(() => Promise.all([named('a'), named('b')]), {
      isolationLevel: 'serializable',
      accessMode: 'read only',
    })
    expect(await failureOf(failing)).toBeInstanceOf(Error)
    await app.shared.transaction(() => Promise.all([named('a'), named('b')]))
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('are prepared anew behind DEALLOCATE, in the same pipeline', async () => {
    await named('a')
    await app.shared.transaction(() =>
      Promise.all([app.pool.query('deallocate all'), named('b'), named('c')]),
    )
    await app.shared.transaction(() => named('d'))
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('are remembered, if they are new behind DEALLOCATE', async () => {
    await app.shared.transaction(() => Promise.all([app.pool.query('deallocate all'), named('a')]))
    await app.shared.transaction(() => named('b'))
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('work in each transaction after the one in which they were outdated', async () => {
    const table = `changing_${names}`
    await app.observer.query(`create table ${table} (a int)`)
    const outdated = () => app.pool.query({ name, text: `select * from ${table}` })
    await app.shared.transaction(outdated)
    await app.observer.query(`alter table ${table} add b int`)
    expect(await failureOf(app.shared.transaction(outdated))).toMatchObject({ code: '0A000' })
    for (let time = 0; time < 3; time++) await app.shared.transaction(outdated)
    await outdated()
    expect(sent()).toContain('deallocate')
  })
})
