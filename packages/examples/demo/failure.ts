import { accounts, audit } from '../schema.ts'
import { chapter, claim, program, say } from './stage.ts'
import type { Shop } from './shop.ts'

export async function failure(shop: Shop): Promise<void> {
  chapter('An inner failure rolls back only the inner work')
  say('Kysely is outside this time. Drizzle violates a constraint inside, and the error is caught:')
  program(refused)

  await refused(shop)

  const [emails, entries] = [await shop.observer.emails(), await shop.observer.entries()]
  say()
  claim('The work before it is there', emails.includes('joan@example.com'))
  claim('The work after it is there', entries.includes('joan has joined'))
  claim('The work inside is gone', !entries.includes('never seen'))
}

async function refused({ orm, db }: Shop): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx.insertInto('accounts').values({ email: 'joan@example.com' }).execute()

    const inner = orm.transaction(async (tx) => {
      await tx.insert(audit).values({ entry: 'never seen' })
      await tx.insert(accounts).values({ email: 'ada@example.com' }) // fails: it exists already
    })
    await inner.catch(() => 'and on we go')

    await trx.insertInto('audit').values({ entry: 'joan has joined' }).execute()
  })
}
