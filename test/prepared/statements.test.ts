import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

const insert = (name: string, text: string) => ({
  name,
  text: 'insert into note (text) values ($1)',
  values: [text],
})

describe.each(speakers)('a named statement, first in a transaction of $name', (speaker) => {
  const nameOf = (what: string): string => `${speaker.name} ${what}`
  const first = (query: object): Promise<unknown> =>
    speaker.block(app, () => app.pool.query(query as { text: string }))

  test('is prepared once, and used by the next request on the client', async () => {
    const name = nameOf('kept')
    await first(insert(name, 'a'))
    await first(insert(name, 'b'))
    const { rows } = await app.pool.query(
      'select count(*)::int as count from pg_prepared_statements where name = $1',
      [name],
    )
    expect(rows).toEqual([{ count: 1 }])
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'commit',
      'begin',
      'insert b',
      'commit',
      `select ${name}`,
    ])
  })

  test('that cannot be parsed leaves its name free for another text', async () => {
    const name = nameOf('unparsed')
    const error = await failureOf(
      first({ name, text: 'insert into nowhere values ($1)', values: ['a'] }),
    )
    expect(error).toMatchObject({ code: '42P01' })
    await first(insert(name, 'b'))
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'rollback',
      'begin',
      'insert b',
      'commit',
    ])
  })

  test('whose values do not fit stays prepared', async () => {
    const name = nameOf('unbound')
    const error = await failureOf(first({ ...insert(name, 'a'), values: ['a', 'too many'] }))
    expect(error).toMatchObject({ code: '08P01' })
    await first(insert(name, 'b'))
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines().slice(-3)).toEqual(['begin', 'insert b', 'commit'])
  })

  test('that fails when it runs stays prepared', async () => {
    const name = nameOf('failing')
    await first(insert(name, 'a'))
    expect(await failureOf(first(insert(name, 'a')))).toMatchObject({ code: '23505' })
    await first(insert(name, 'b'))
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines().slice(-6)).toEqual([
      'begin',
      'insert a',
      'rollback',
      'begin',
      'insert b',
      'commit',
    ])
  })

  test('that has another text under a name in use is refused, and BEGIN is piggybacked on the next', async () => {
    const name = nameOf('taken')
    await first(insert(name, 'a'))
    app.transcript.clear()
    await speaker.block(app, async () => {
      const error = await failureOf(app.pool.query({ name, text: 'select 1' }))
      expect(error.message).toContain('must be unique')
      await app.pool.query(insert(name, 'b'))
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert b', 'commit'])
  })

  test('whose BEGIN was not sent is not taken for prepared', async () => {
    const name = nameOf('skipped')
    const client = await app.shared.withClient((physical) => physical)
    // The bridge does not send BEGIN in a session that is in a transaction already.
    await client.query('begin')
    await client.query('select 1/0').catch(() => {})
    expect(await failureOf(first(insert(name, 'a')))).toMatchObject({
      name: 'TransactionDriftError',
    })
    const { connection } = client as unknown as {
      connection: { submittedNamedStatements: object; parsedStatements: object }
    }
    expect(Object.keys(connection.submittedNamedStatements)).not.toContain(name)
    expect(Object.keys(connection.parsedStatements)).not.toContain(name)
    // that client is given up; the next one knows nothing of the name
    await first(insert(name, 'b'))
    expect(await app.rows()).toEqual(['b'])
    expect(app.transcript.lines().slice(-3)).toEqual(['begin', 'insert b', 'commit'])
  })
})
