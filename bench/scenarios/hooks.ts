import { LINEAR, type Scenario, variant } from '../scenario.ts'

const COUNTS = [1, 100, 10_000]

let runs = 0
const hook = (): void => {
  runs++
}

/** It sends nothing, so the measurement does not include the server. */
export const hooks: Scenario = {
  name: 'hooks',
  title: 'a transaction with `afterCommit` hooks and no statement, time per hook',
  links: ['loopback'],
  parts: countOf,
  variants: (field) => {
    const { shared } = field.together['0.45']
    return COUNTS.map((count) =>
      variant(`${count} hooks`, async () => {
        runs = 0
        await shared.transaction(() => {
          for (let at = 0; at < count; at++) void shared.afterCommit(hook)
        })
        if (runs !== count) throw new Error(`${runs} of ${count} hooks have run`)
      }),
    )
  },
  comparisons: [
    { of: '100 hooks', to: '1 hooks' },
    { of: '10000 hooks', to: '100 hooks', limit: '1/1', goals: { loopback: LINEAR } },
  ],
}

function countOf(variantName: string): number {
  return Number.parseInt(variantName)
}
