import { expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'

const app = useApp()

test('the context of a transaction can be spread', async () => {
  await app.shared.transaction(async (context) => {
    const { tx, frame, signal, user } = { ...context, user: 'Jane' }
    const trx = app.shared.kyselyFor<Schema>(tx)
    await tx.insert(notes).values({ text: user })
    await trx.insertInto('note').values({ text: 'b' }).execute()
    expect(Object.keys(context)).toEqual(['tx', 'trx', 'frame', 'signal'])
    expect(frame.kind).toBe('transaction')
    expect(signal.aborted).toBe(false)
  })
  expect(await app.rows()).toEqual(['Jane', 'b'])
})

test('its handles are the same at every access', async () => {
  await app.shared.transaction(async (context) => {
    expect(context.tx).toBe(context.tx)
    expect(context.trx).toBe(context.trx)
    expect(context.frame).toBe(context.frame)
    expect(context.signal).toBe(context.signal)
    expect({ ...context }).toEqual(context)
    await context.trx.selectNoFrom((eb) => eb.lit(1).as('one')).execute()
  })
})

test.each([
  { way: 'wrapped', wrap: (context: object) => new Proxy(context, {}) },
  { way: 'inherited from', wrap: (context: object) => Object.create(context) as object },
  {
    way: 'copied by its descriptors',
    wrap: (context: object) =>
      Object.defineProperties({}, Object.getOwnPropertyDescriptors(context)),
  },
])('a context can be $way', async ({ wrap }) => {
  await app.shared.transaction(async (context) => {
    const { tx, frame, signal } = wrap(context) as typeof context
    await tx.insert(notes).values({ text: 'a' })
    expect(tx).toBe(context.tx)
    expect(frame.kind).toBe('transaction')
    expect(signal.aborted).toBe(false)
    expect(Object.getPrototypeOf(context)).toBe(Object.prototype)
  })
  expect(await app.rows()).toEqual(['a'])
})
