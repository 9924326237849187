// The frame of the programs that keep objects: `node PROGRAM MODE PACKAGE [ID…]`.
//
// `keep` makes objects, uses them and tells their ids; `seek` tries what another caller's ids lead to, and tells what it lists;
// `list` tells only that.

import { emit, emitError } from './events.mjs';

// Runs the mode. `list` gives the ids that are shown, `attempts` the calls that must fail.
export async function run({ keep, attempts, list }) {
  const [mode, , ...ids] = process.argv.slice(2);
  if (mode === 'keep') {
    const { kept, inLists } = await keep();
    const shown = await list();
    if (!inLists.every((id) => shown.includes(id))) throw new Error(`it lists ${shown}`);
    emit('done', { text: kept.join(' ') });
    return;
  }
  for (const attempt of mode === 'seek' ? attempts(...ids) : []) {
    try {
      await attempt();
      emit('chunk', { text: 'an attempt came through' });
    } catch (error) {
      emitError(error);
    }
  }
  emit('done', { text: (await list()).join(' ') });
}

// Returns the ids of all elements of these lists.
export async function idsOf(...lists) {
  const ids = [];
  for (const list of lists) for await (const item of list) ids.push(item.id ?? item.name);
  return ids;
}
