// Makes the form answer without leaving the page: drop, paste, preview, upload
// progress. Everything works without it too, through the form itself.
'use strict';

const form = document.getElementById('form');
const file = document.getElementById('file');
const drop = document.getElementById('drop');
const submit = document.getElementById('submit');
const status = document.getElementById('status');
const results = document.getElementById('results');

document.getElementById('hint').hidden = false;
const address = document.getElementById('address');
if (address) address.textContent = location.origin;

let preview = null;  // the object URL of the picture that is shown
let running = null;  // the request under way

function element(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function say(text, bad) {
  status.textContent = text;
  status.classList.toggle('bad', Boolean(bad));
}

function bar(percent) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  const rect = document.createElementNS(space, 'rect');
  svg.setAttribute('class', 'bar');
  svg.setAttribute('aria-hidden', 'true');
  rect.setAttribute('width', percent + '%');
  rect.setAttribute('height', '100%');
  svg.append(rect);
  return svg;
}

function labelItem(prediction) {
  const percent = (100 * prediction.probability).toFixed(1);
  const comma = prediction.label.indexOf(', ');
  const item = element('li');
  item.append(element('span', 'name',
                      comma < 0 ? prediction.label : prediction.label.slice(0, comma)));
  if (comma >= 0) {
    item.append(' ', element('span', 'synonyms', prediction.label.slice(comma + 2)));
  }
  item.append(' ', element('span', 'percent', percent + ' %'), bar(percent));
  return item;
}

function timingText(timings) {
  const ms = (x) => Math.round(x) + ' ms';
  return ms(timings.queue) + ' waiting, ' + ms(timings.preprocess) +
      ' reading the picture, ' + ms(timings.compute) + ' in the network';
}

function show(photo, answer) {
  const card = element('section', 'card result');
  card.setAttribute('aria-label', 'Answer for ' + (photo.name || 'your photo'));
  const picture = element('img');
  if (preview) URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(photo);
  picture.src = preview;
  picture.alt = 'The photo you sent';
  picture.addEventListener('error', () => picture.remove());
  const side = element('div', 'answer');
  if (photo.name) side.append(element('p', 'filename', photo.name));
  const list = element('ol', 'labels');
  for (const prediction of answer.predictions) list.append(labelItem(prediction));
  side.append(list, element('p', 'timing', timingText(answer.timings_ms)));
  card.append(picture, side);
  results.replaceChildren(card);
}

// What to do about it, in the words of a person.
function explain(code, reason) {
  switch (code) {
    case 400:
    case 413:
    case 415: return 'This file cannot be used: ' + reason;
    case 429: return 'The server is busy. Try again in a moment.';
    case 503: return 'The server is not ready. Try again in a moment.';
    case 504: return 'The answer took too long. Try again in a moment.';
    default: return 'That did not work: ' + reason;
  }
}

function classify(photo) {
  if (running) running.abort();
  results.replaceChildren();
  const request = new XMLHttpRequest();
  running = request;
  submit.disabled = true;
  say('Sending the photo…');
  request.upload.addEventListener('progress', (event) => {
    if (event.lengthComputable && event.loaded < event.total) {
      say('Sending the photo… ' + Math.floor(100 * event.loaded / event.total) + ' %');
    }
  });
  request.upload.addEventListener('load', () => say('Looking at the photo…'));
  request.addEventListener('error',
                           () => say('The server could not be reached. Is it still running?', true));
  request.addEventListener('load', () => {
    let body = null;
    try {
      body = JSON.parse(request.responseText);
    } catch (error) {
      body = {error: 'the answer could not be understood'};
    }
    if (request.status === 200) {
      const best = body.images[0].predictions[0];
      say(best.label + ', ' + (100 * best.probability).toFixed(1) + ' percent');
      show(photo, body.images[0]);
    } else {
      say(explain(request.status, body.error || ''), true);
    }
  });
  request.addEventListener('loadend', () => {
    if (running !== request) return;
    running = null;
    submit.disabled = false;
  });
  request.open('POST', '/api/classify');
  request.setRequestHeader('Accept', 'application/json');
  request.setRequestHeader('Content-Type', 'application/octet-stream');
  request.send(photo);
}

form.addEventListener('submit', (event) => {
  if (!file.files.length) return;
  event.preventDefault();
  classify(file.files[0]);
});

file.addEventListener('change', () => {
  if (file.files.length) classify(file.files[0]);
});

for (const name of ['dragenter', 'dragover']) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
}
document.addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) drop.classList.remove('over');
});
document.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  const dropped = event.dataTransfer.files;
  if (dropped.length) {
    classify(dropped[0]);
  } else {
    say('That is not a file. Save the picture first, then drop it here.', true);
  }
});

document.addEventListener('paste', (event) => {
  const pasted = event.clipboardData.files;
  if (pasted.length) classify(pasted[0]);
});
