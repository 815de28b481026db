import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })

test.each(worlds)(
  'a block that opens while a flight fails is told the error of that, in $name',
  async ({ outer, inner }) => {
    let block: Promise<unknown> | undefined
    const failure = await failureOf(
      outer.block(app, async () => {
        await outer.note(app, 'a')
        const issued = [speakers[0].note(app, 'b'), app.pool.query('select 1 / 0')]
        block = inner.block(app, () => Promise.resolve())
        await Promise.all([...issued, block.catch(() => {})])
      }),
    )
    expect(failure).toMatchObject({ code: '22012' })
    const [told] = await Promise.allSettled([block])
    // it has sent nothing: kept, refused, or aborted with that error, but never with another
    if (told?.status === 'rejected') {
      const { cause, name } = told.reason as Error
      expect(['TransactionAbortedError', 'TransactionClosedError']).toContain(name)
      if (cause !== undefined) expect(cause).toMatchObject({ code: '22012' })
    }
    expect(await app.rows()).toEqual([])
  },
)
