import type { Block, Hook, Step } from './program.ts'

/** Prints a program as code, for a failing run. */
export function codeOf(steps: readonly Step[], indent = ''): string {
  return steps.map((step) => linesOf(step, indent)).join('\n')
}

function linesOf(step: Step, indent: string): string {
  const number = step.kind === 'pause' || step.kind === 'parallel' ? '' : ` // ${step.id}`
  const swallow = step.caught ? '.catch(swallow)' : ''
  const inside = (body: readonly Step[]): string => `\n${codeOf(body, `${indent}  `)}\n${indent}`
  const line = (code: string): string => `${indent}await ${code}${swallow}${number}`
  switch (step.kind) {
    case 'note':
      return line(`${who(step)}.note('n${step.id}')`)
    case 'failure':
      return line(`${who(step)}.query('select 1 / 0')`)
    case 'throw':
      return `${indent}throw new ${step.what}()${number}`
    case 'pause':
      return line('setImmediate()')
    case 'hook':
      return line(hookOf(step))
    case 'rollbackOnExit':
      return `${indent}shared.of(handle(${step.up})).rollbackOnExit()${number}`
    case 'byHand':
      return line(`${step.via}.query('${step.text}')`)
    case 'block':
      return line(`${openerOf(step)}(async () => {${inside(step.body)}})`)
    case 'unawaited':
      return `${indent}void (async () => {${inside(step.body)}})()${number}`
    case 'parallel': {
      const branches = step.branches.map((branch) => `async () => {${inside(branch)}}`)
      return line(`Promise.${step.how}(started(${branches.join(', ')}))`)
    }
    default:
      return line(
        `savepoint('s${step.id}', { by: '${step.via}', end: '${step.end}' }, async () => {${inside(step.body)}})`,
      )
  }
}

function who({ up, via }: { readonly up: number; readonly via: string }): string {
  return via === 'tx' || via === 'trx' ? `${via}(${up})` : via
}

function hookOf({ id, moment, scope, through, throws, up }: Hook): string {
  const on = through === 'handle' ? `shared.of(handle(${up}))` : through
  const options = scope === 'transaction' ? `, { scope: 'transaction' }` : ''
  return `${on}.${moment}(() => ${throws ? 'boom' : 'log'}(${id})${options})`
}

function openerOf({ opener, up }: Block): string {
  switch (opener) {
    case 'drizzle':
    case 'kysely':
      return `${opener}.transaction`
    case 'tx':
    case 'trx':
      return `${opener}(${up}).transaction`
    case 'outside':
      return 'shared.outside'
    default:
      return `shared.transaction.${opener}`
  }
}
