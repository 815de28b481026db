import { accounts } from '../schema.ts'
import { chapter, claim, happened, logged, program, say } from './stage.ts'
import type { Shop } from './shop.ts'

export async function hooks(shop: Shop): Promise<void> {
  chapter('Hooks wait for the end, whichever layer holds the transaction')
  say('A mail cannot be rolled back, so it waits for the commit:')
  program(invite)
  for (const holder of ['drizzle', 'kysely'] as const) {
    const email = `${holder}@example.com`
    const told: string[] = []
    const tell = async (text: string): Promise<void> => {
      const isVisible = (await shop.observer.emails()).includes(email)
      told.push(`${text}, ${isVisible ? 'and' : 'not'} visible to others`)
      happened(told.at(-1) ?? '')
    }

    const name = holder === 'drizzle' ? 'Drizzle' : 'Kysely'
    say()
    say(`${name} holds the transaction:`)
    say()
    const work = () => invite(shop, email, tell)
    const events = await logged(() =>
      holder === 'drizzle' ? shop.orm.transaction(work) : shop.db.transaction().execute(work),
    )
    say()
    claim(
      `${name} has begun and committed, and the hooks of both ran in their order`,
      events.every((event) => event.holder === holder) && told.join('\n') === inOrder,
    )
  }
}

const inOrder = `the trial was rolled back, not visible to others
before the commit, not visible to others
the mail, and visible to others
committed, and visible to others`

type Tell = (text: string) => Promise<void>

async function invite({ orm, db, shared }: Shop, email: string, tell: Tell): Promise<void> {
  await shared.beforeCommit(() => tell('before the commit'))
  await orm.insert(accounts).values({ email })
  await db.afterCommit(() => tell('the mail'))

  const trial = orm.transaction(async (tx) => {
    await db.insertInto('audit').values({ entry: email }).execute()
    await db.afterCommit(() => tell('dropped with its block'))
    await db.afterRollback(() => tell('the trial was rolled back'))
    tx.rollback()
  })
  await trial.catch(() => 'as expected')

  await shared.afterCompletion((outcome) => tell(outcome))
}
