import { accounts } from '../schema.ts'
import { chapter, claim, happened, logged, program, say } from './stage.ts'
import type { Shop } from './shop.ts'

export async function hooks(shop: Shop): Promise<void> {
  chapter('Hooks wait for the end, whichever layer holds the transaction')
  say('A mail cannot be rolled back, so it waits for the commit:')
  program(invite)
  for (const holder of ['drizzle', 'kysely'] as const) {
    const email = `${holder}@example.com`
    const messages: string[] = []
    const report = async (text: string): Promise<void> => {
      const isVisible = (await shop.observer.emails()).includes(email)
      messages.push(`${text}, ${isVisible ? 'and' : 'not'} visible to others`)
      happened(messages.at(-1) ?? '')
    }

    const name = holder === 'drizzle' ? 'Drizzle' : 'Kysely'
    say()
    say(`${name} holds the transaction:`)
    say()
    const work = () => invite(shop, email, report)
    const events = await logged(() =>
      holder === 'drizzle' ? shop.orm.transaction(work) : shop.db.transaction().execute(work),
    )
    say()
    claim(
      `${name} has begun and committed, and the hooks of both ran in their order`,
      events.every((event) => event.holder === holder) && messages.join('\n') === inOrder,
    )
  }
}

const inOrder = `the trial was rolled back, not visible to others
before the commit, not visible to others
the mail, and visible to others
committed, and visible to others`

type Report = (text: string) => Promise<void>

async function invite({ orm, db, shared }: Shop, email: string, report: Report): Promise<void> {
  await shared.beforeCommit(() => report('before the commit'))
  await orm.insert(accounts).values({ email })
  await db.afterCommit(() => report('the mail'))

  const trial = orm.transaction(async (tx) => {
    await db.insertInto('audit').values({ entry: email }).execute()
    await db.afterCommit(() => report('dropped with its block'))
    await db.afterRollback(() => report('the trial was rolled back'))
    tx.rollback()
  })
  await trial.catch(() => 'as expected')

  await shared.afterCompletion((outcome) => report(outcome))
}
