'use strict';
(() => {
  const ASK_EVERY_MS = 500;
  const LIST_EVERY_MS = 2000;
  const ANSWER_WITHIN_MS = 4000;
  const SPEAK_EVERY_MS = 20000;
  // The rate is taken over this span, so that it does not jump with each answer.
  const RATE_OVER_MS = 2000;
  // Past so many samples every second one goes, so that a page may be open for days.
  const SAMPLES_MAX = 1200;
  const SPAN_MIN_MS = 20000;
  const TOKEN_KEY = 'tandem.token';

  const at = (id) => document.getElementById(id);
  const asked = new URLSearchParams(location.search);
  const saleId = asked.get('sale');
  const number = new Intl.NumberFormat('en');
  const time = new Intl.DateTimeFormat([], { timeStyle: 'short' });
  const dateAndTime = new Intl.DateTimeFormat([], { dateStyle: 'medium', timeStyle: 'short' });

  let token = recall();
  let samples = [];
  let answeredAt = null;
  let ahead = 0;
  let spokenAt = -Infinity;
  let spokenState = '';
  let timer = 0;
  // Of an older round, whose answer counts no more.
  let round = 0;

  function recall() {
    try { return sessionStorage.getItem(TOKEN_KEY) || ''; } catch { return ''; }
  }
  function remember(value) {
    token = value;
    try {
      if (value) sessionStorage.setItem(TOKEN_KEY, value);
      else sessionStorage.removeItem(TOKEN_KEY);
    } catch { /* it holds as long as the page then */ }
  }
  function make(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function drawn(tag, attributes, text) {
    const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function put(id, text) {
    if (at(id).textContent !== text) at(id).textContent = text;
  }

  /** What went wrong, in words for whoever looks at the page. */
  class Trouble extends Error {
    constructor(kind, message) { super(message); this.kind = kind; }
  }

  async function ask(path) {
    const headers = { accept: 'application/json' };
    if (token) headers.authorization = 'Bearer ' + token;
    let response, text;
    try {
      const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
      response = await fetch(path, { headers, cache: 'no-store', signal });
      text = await response.text();
    } catch {
      throw new Trouble('lost', 'This node of tandem does not answer.');
    }
    let body = null;
    try { body = JSON.parse(text); } catch { /* told of below */ }
    const said = body && typeof body.message === 'string' ? body.message : '';
    const date = Date.parse(response.headers.get('date') || '');
    if (!Number.isNaN(date) && Math.abs(date - Date.now()) > 2000) ahead = date - Date.now();
    else ahead = 0;
    if (response.ok && body) return body;
    if (response.status === 401) throw new Trouble('token', said);
    if (response.status === 404 && body && body.reason === 'unknown_sale') {
      throw new Trouble('unknown', 'There is no sale with the id ' + saleId + '.');
    }
    if (response.status === 503) {
      throw new Trouble('away', 'tandem cannot ask its Redis now' + (said ? ': ' + said.replace(/\.$/, '') : '') + '.');
    }
    throw new Trouble('other', said || 'tandem answered ' + response.status + ', which this page does not understand.');
  }

  function link(state, words) {
    at('link').dataset.state = state;
    put('link-words', words);
  }
  function notice(text) {
    at('notice').hidden = !text;
    if (text) put('notice', text);
  }
  function show(id) {
    for (const other of ['sales', 'sale', 'token-form']) at(other).hidden = other !== id;
  }

  async function turn() {
    const mine = ++round;
    clearTimeout(timer);
    const began = performance.now();
    let wait = saleId === null ? LIST_EVERY_MS : ASK_EVERY_MS;
    try {
      const body = await (saleId === null ? askForSales() : askForSale());
      if (mine !== round) return;
      answeredAt = new Date();
      document.body.classList.remove('stale');
      notice('');
      link('live', 'live');
      at('forget').hidden = !token;
      put('asked', saleId === null ? '' : 'Asked twice a second.');
      if (saleId === null) showSales(body); else showSale(body);
    } catch (error) {
      if (mine !== round) return;
      if (!(error instanceof Trouble)) throw error;
      if (error.kind === 'token') { askForToken(); return; }
      troubled(error);
      if (error.kind !== 'lost') wait = Math.max(wait, 1000);
    }
    if (document.hidden) return;
    timer = setTimeout(turn, Math.max(50, wait - (performance.now() - began)));
  }
  const askForSale = () => ask('api/flash/sales/' + encodeURIComponent(saleId));
  function askForSales() {
    const query = new URLSearchParams({ limit: '60' });
    if (asked.get('after')) query.set('after', asked.get('after'));
    return ask('api/flash/sales?' + query);
  }

  function troubled(error) {
    document.body.classList.add('stale');
    const old = answeredAt && error.kind !== 'unknown'
      ? ' The figures are those of ' + answeredAt.toLocaleTimeString() + '.' : '';
    notice(error.message + (error.kind === 'unknown' ? '' : ' Asking again.') + old);
    link('lost', error.kind === 'lost' ? 'no answer' : 'trouble');
    if (error.kind === 'unknown') show('');
  }
  function askForToken() {
    show('token-form');
    notice('');
    link('lost', 'token needed');
    put('token-why', token ? 'The token was not the one of this server.' : 'This server shows its sales to those who bring its token.');
    remember('');
    at('forget').hidden = true;
    at('token').focus();
  }

  function totals(items) {
    const sum = { available: 0, held: 0, sold: 0, supply: 0 };
    for (const item of items) for (const key of Object.keys(sum)) sum[key] += Number(item[key]) || 0;
    return sum;
  }
  function shares(bar, sum) {
    if (!bar.firstChild) for (const name of ['sold', 'held', 'left']) bar.append(make('i', name));
    const parts = [sum.sold, sum.held, sum.available];
    parts.forEach((part, index) => { bar.children[index].style.flexGrow = part; });
    bar.setAttribute('role', 'img');
    bar.setAttribute('aria-label', inWords(sum));
  }
  const inWords = (sum) =>
    number.format(sum.available) + ' left, ' + number.format(sum.held) + ' held, ' + number.format(sum.sold) + ' sold';

  function stateOf(sale, sum) {
    if (sale.state === 'open' && sum.supply > 0 && sum.available === 0) {
      return ['out', sum.held > 0 ? 'sold out, ' + number.format(sum.held) + ' may come back' : 'sold out'];
    }
    return [sale.state, sale.state];
  }
  function span(ms) {
    const s = Math.max(0, Math.round(ms / 1000));
    const parts = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60, s % 60];
    const words = ['d', 'h', 'min', 's'];
    const first = parts.findIndex((part) => part > 0);
    if (first < 0) return '0 s';
    const told = parts.map((part, index) => (part > 0 ? part + ' ' + words[index] : ''));
    return told.slice(first, first + 2).filter((text) => text).join(' ');
  }
  function times(sale) {
    const now = Date.now() + ahead;
    const told = ([will, did], text) => {
      const when = Date.parse(text || '');
      if (Number.isNaN(when)) return [];
      const over = when <= now;
      const word = over ? did + ' ' + span(now - when) + ' ago' : will + ' in ' + span(when - now);
      const isToday = new Date(when).toDateString() === new Date(now).toDateString();
      return [word + ' (' + (isToday ? time : dateAndTime).format(when) + ')'];
    };
    const facts = [];
    if (sale.state !== 'closed') facts.push(...told(['opens', 'opened'], sale.opens_at));
    facts.push(...told(['closes', 'closed'], sale.closes_at));
    return facts;
  }
  function facts(sale) {
    const told = times(sale);
    if (sale.limit) told.push('at most ' + number.format(sale.limit) + ' per buyer');
    if (sale.hold_seconds) told.push('units are held for ' + span(sale.hold_seconds * 1000));
    if (sale.orders_in_work !== undefined) {
      const orders = number.format(sale.orders) + (sale.orders === 1 ? ' order, ' : ' orders, ');
      told.push(orders + number.format(sale.orders_in_work) + ' in work');
    }
    if (sale.buckets > 1) told.push(sale.buckets + ' buckets');
    return told.join(' · ');
  }

  function showSales(page) {
    show('sales');
    const cards = (page.sales || []).map((sale) => {
      const card = make('li');
      const way = make('a', 'card');
      way.href = '?sale=' + encodeURIComponent(sale.id);
      const sum = totals(sale.items || []);
      const [state, words] = stateOf(sale, sum);
      const badge = make('span', 'badge', words);
      badge.dataset.state = state;
      const top = make('span', 'top');
      top.append(make('b', '', sale.id), badge);
      way.append(top);
      if ((sale.items || []).some((item) => item.available !== undefined)) {
        const bar = make('span', 'bar');
        shares(bar, sum);
        way.append(bar, make('span', 'facts', inWords(sum)));
      }
      const when = times(sale).join(' · ');
      if (when) way.append(make('span', 'facts', when));
      card.append(way);
      return card;
    });
    // Whoever is on one of the links stays there.
    const held = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.getAttribute('href') : null;
    at('sales-list').replaceChildren(...cards);
    if (held) for (const way of at('sales-list').querySelectorAll('a')) if (way.getAttribute('href') === held) way.focus();
    at('sales-none').hidden = cards.length > 0;
    at('sales-more').hidden = !page.next;
    if (page.next) at('sales-more').href = '?after=' + encodeURIComponent(page.next);
  }

  function showSale(sale) {
    show('sale');
    const items = sale.items || [];
    const sum = totals(items);
    const [state, words] = stateOf(sale, sum);
    document.title = number.format(sum.available) + ' left: ' + sale.id;
    put('sale-title', sale.id);
    put('sale-state', words);
    at('sale-state').dataset.state = state;
    put('sale-facts', facts(sale));
    keep(sale, sum);
    const figures = { left: sum.available, held: sum.held, sold: sum.sold, rate: rate() };
    for (const [id, value] of Object.entries(figures)) {
      const text = value === null ? '–' : number.format(value);
      put(id, text);
      at(id).style.setProperty('--n', text.length);
    }
    shares(at('bar'), sum);
    table(items, sum);
    draw();
    speak(state, words + ': ' + inWords(sum));
  }
  function table(items, sum) {
    const body = at('items');
    while (body.rows.length > items.length) body.deleteRow(-1);
    items.forEach((item, index) => fill(body.rows[index] || rowOf(body), item.id, item, item.limit));
    const foot = at('sum');
    if (items.length < 2) foot.replaceChildren();
    else fill(foot.rows[0] || rowOf(foot), 'All', sum, null);
  }
  function rowOf(body) {
    const row = body.insertRow();
    const head = make('th');
    head.scope = 'row';
    row.append(head);
    for (let n = 0; n < 5; n += 1) row.insertCell();
    const share = row.insertCell();
    share.className = 'share';
    share.append(make('div', 'bar'));
    return row;
  }
  function fill(row, name, units, limit) {
    const texts = [name, units.available, units.held, units.sold, units.supply, limit];
    texts.forEach((text, index) => {
      const shown = index === 0 ? text : text === null || text === undefined ? '–' : number.format(text);
      if (row.cells[index].textContent !== shown) row.cells[index].textContent = shown;
    });
    shares(row.cells[6].firstChild, { ...units });
  }
  /** Tells those who hear the page, and not twice a second. */
  function speak(state, text) {
    const now = performance.now();
    if (state === spokenState && now - spokenAt < SPEAK_EVERY_MS) return;
    spokenAt = now;
    spokenState = state;
    put('spoken', text);
  }

  function keep(sale, sum) {
    const last = samples[samples.length - 1];
    // A sale of the same id, but another one.
    if (last && (sale.created_at !== last.of || sale.orders < last.orders)) samples = [];
    samples.push({ at: performance.now(), of: sale.created_at, orders: Number(sale.orders) || 0, ...sum });
    if (samples.length > SAMPLES_MAX) {
      const newest = samples.length - 1;
      samples = samples.filter((_, index) => index === 0 || index === newest || index % 2 === 1);
    }
  }
  function rate() {
    const last = samples[samples.length - 1];
    let first = last;
    for (let n = samples.length - 2; n >= 0 && last.at - first.at < RATE_OVER_MS; n -= 1) first = samples[n];
    if (first === last) return null;
    return Math.round((last.orders - first.orders) * 1000 / (last.at - first.at));
  }

  /** A round number at or above what there is, for the top of a scale. */
  function roundUp(value) {
    const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
    return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((n) => n * power).find((top) => top >= value);
  }
  const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

  function draw() {
    const chart = at('chart');
    const box = chart.getBoundingClientRect();
    const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const edge = { left: 3.2 * em, right: .4 * em, top: .5 * em, bottom: 1.5 * em };
    const right = box.width - edge.right;
    const floor = box.height - edge.bottom;
    if (right - edge.left < 40 || floor < 80) return;
    chart.setAttribute('viewBox', '0 0 ' + box.width + ' ' + box.height);

    const newest = samples[samples.length - 1];
    const begin = samples[0].at;
    const width = Math.max(SPAN_MIN_MS, newest.at - begin);
    const x = (when) => edge.left + (when - begin) / width * (right - edge.left);
    // The rate has the lower fifth for itself.
    const split = edge.top + (floor - edge.top) * .78;
    const units = roundUp(Math.max(...samples.map((one) => one.supply), 1));
    const y = (value) => split - value / units * (split - edge.top);
    const parts = [];

    for (const share of [0, .5, 1]) {
      const level = y(units * share);
      parts.push(drawn('line', { class: 'grid', x1: edge.left, x2: right, y1: level, y2: level }));
      parts.push(drawn('text', { x: edge.left - .5 * em, y: level + .25 * em, 'text-anchor': 'end' }, short.format(units * share)));
    }
    const layers = [
      ['left', (one) => one.sold + one.held, (one) => one.sold + one.held + one.available],
      ['held', (one) => one.sold, (one) => one.sold + one.held],
      ['sold', () => 0, (one) => one.sold],
    ];
    const place = (value) => (one) => x(one.at).toFixed(1) + ',' + y(value(one)).toFixed(1);
    for (const [name, low, high] of layers) {
      const upper = samples.map(place(high));
      const lower = samples.map(place(low)).reverse();
      parts.push(drawn('polygon', { class: 'area ' + name, points: upper.concat(lower).join(' ') }));
      parts.push(drawn('polyline', { class: 'edge ' + name, points: upper.join(' ') }));
    }

    const rates = samples.slice(1).map((one, index) => {
      const before = samples[index];
      return { from: before.at, to: one.at, value: (one.orders - before.orders) * 1000 / Math.max(1, one.at - before.at) };
    });
    const most = roundUp(Math.max(...rates.map((one) => one.value), 1));
    const top = split + (floor - split) * .28;
    const high = (value) => floor - value / most * (floor - top);
    for (const value of [0, most]) {
      parts.push(drawn('line', { class: 'grid', x1: edge.left, x2: right, y1: high(value), y2: high(value) }));
      parts.push(drawn('text', { x: edge.left - .5 * em, y: high(value) + .25 * em, 'text-anchor': 'end' }, value === 0 ? '0' : short.format(most) + '/s'));
    }
    const steps = rates.map((one) => 'L' + x(one.from).toFixed(1) + ' ' + high(one.value).toFixed(1) + 'H' + x(one.to).toFixed(1));
    if (steps.length > 0) {
      parts.push(drawn('path', { class: 'area rate', d: 'M' + x(rates[0].from) + ' ' + floor + steps.join('') + 'V' + floor + 'Z' }));
    }

    const under = floor + 1.15 * em;
    const words = newest.at - begin < SPAN_MIN_MS ? span(width) : 'now';
    parts.push(drawn('text', { x: edge.left, y: under }, 'page opened'));
    parts.push(drawn('text', { x: right, y: under, 'text-anchor': 'end' }, words === 'now' ? 'now, ' + span(width) + ' later' : words + ' later'));
    chart.replaceChildren(...parts);
    chart.setAttribute('aria-label', 'Over the last ' + span(newest.at - begin) + ': ' + inWords(newest) + ' now.');
  }

  at('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const given = at('token').value.trim();
    // No other character can stand in a header.
    if (!/^[\x21-\x7e]+$/.test(given)) { put('token-why', 'A token has no spaces and no characters but those of ASCII.'); return; }
    remember(given);
    at('token').value = '';
    turn();
  });
  at('forget').addEventListener('click', () => { remember(''); turn(); });
  document.addEventListener('visibilitychange', () => { if (!document.hidden && at('token-form').hidden) turn(); });
  addEventListener('resize', () => { if (samples.length > 0 && !at('sale').hidden) draw(); });
  turn();
})();
